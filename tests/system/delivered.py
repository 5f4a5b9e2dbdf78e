"""What a trail has delivered into a bucket of a server's embedded store, read where it lies on disk: asking the store for
it would be calls of its own."""

import gzip
import json


def log_files(server, bucket="trail-logs"):
    """The paths of the log files, digests left out."""
    return sorted((server.data / "objects" / bucket).glob("**/CloudTrail/**/*.json.gz"))


def records(server, bucket="trail-logs"):
    """Every delivered record."""
    return [record for path in log_files(server, bucket) for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]]


def trail_of_everything(server, name="everything", bucket="trail-logs"):
    """A trail that takes management events and the data events of S3 and DynamoDB, from every Region."""
    server.make_trail(name, bucket, IsMultiRegionTrail=True)
    data = [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]},
            {"Type": "AWS::DynamoDB::Table", "Values": ["arn:aws:dynamodb"]}]  # fmt: skip
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": data}
    server.client("cloudtrail").put_event_selectors(TrailName=name, EventSelectors=[selector])
