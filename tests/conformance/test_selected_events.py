"""Which events a trail delivers: each field and operator of its selectors, in two trails at once.

Every case has a Region of its own with two or more trails whose selectors differ in one condition, set by the stock
CLI. All cases' records are put together; then each trail's log files are read.
"""

import concurrent.futures
import dataclasses
import datetime
import gzip
import json
import pathlib
import subprocess
import sys

import pytest
from opentrail_server import ACCOUNT, wait_until
from records import put_records, record

AWS = pathlib.Path(sys.executable).parent / "aws"

OBJECT = "arn:aws:s3:::selected-bucket/2026/report.csv"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/orders"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:resize"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """Records by name, and for each trail what `put-event-selectors` is given and the names of what it delivers."""

    name: str
    records: dict[str, dict]
    trails: list[tuple[dict, set[str]]]

    def __str__(self):
        return self.name


def resources(kind: str, arn: str) -> dict:
    return {"resources": [{"type": kind, "ARN": arn}]}


MANAGEMENT = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances", "readOnly": False}
DATA = {
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "managementEvent": False,
    "eventCategory": "Data",
    "userIdentity": {"type": "IAMUser", "accountId": ACCOUNT, "arn": ALICE},
    **resources("AWS::S3::Object", OBJECT),
}
NETWORK = {
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "eventType": "AwsVpceEvent",
    "vpcEndpointId": "vpce-0a1b2c",
    "vpcEndpointAccountId": ACCOUNT,
    "eventCategory": "NetworkActivity",
    "managementEvent": None,
    "readOnly": None,
}


def advanced(*selectors: list[dict]) -> dict:
    return {"advanced-event-selectors": [{"FieldSelectors": fields} for fields in selectors]}


def basic(*selectors: dict) -> dict:
    return {"event-selectors": list(selectors)}


def field(name: str, **operators: str | list[str]) -> dict:
    return {"Field": name} | {key: [v] if isinstance(v, str) else v for key, v in operators.items()}


def category(name: str) -> dict:
    return field("eventCategory", Equals=name)


OBJECTS = [category("Data"), field("resources.type", Equals="AWS::S3::Object")]
CALLS_THROUGH_ENDPOINTS = [category("NetworkActivity"), field("eventSource", Equals="s3.amazonaws.com")]


def with_text(template: dict, name: str, text: str | None) -> dict:
    """The template with the field at `text`, or without the field."""
    match name:
        case "resources.ARN":
            (resource,) = template["resources"]
            return template | {"resources": [resource | {"ARN": text}]}
        case "userIdentity.arn":
            return template | {"userIdentity": template["userIdentity"] | {"arn": text}}
        case _:
            return template | {name: text}


def operators(kind: str, template: dict, needed: list[dict], name: str, text: str, other: str) -> list[Case]:
    """Each of the three operators beside its negation: `text` and `other` have neither beginning nor end in common.
    What lacks the field satisfies negations only."""
    values = {"Equals": text, "StartsWith": text[:-3], "EndsWith": text[3:]}
    records = {"text": with_text(template, name, text), "other": with_text(template, name, other),
               "lacking": with_text(template, name, None)}  # fmt: skip
    return [
        Case(
            f"{kind} {name} {operator} and Not{operator}",
            records,
            [
                (advanced([*needed, field(name, **{operator: value})]), {"text"}),
                (advanced([*needed, field(name, **{f"Not{operator}": value})]), {"other", "lacking"}),
            ],
        )
        for operator, value in values.items()
    ]


def sources(*names: str) -> dict[str, dict]:
    return {name: MANAGEMENT | {"eventSource": f"{name}.amazonaws.com"} for name in names}


def reads_and_writes(template: dict) -> dict[str, dict]:
    return {"read": template | {"readOnly": True}, "write": template | {"readOnly": False}}


KMS, RDS_DATA = "kms.amazonaws.com", "rdsdata.amazonaws.com"
CONSOLE = "sessionCredentialFromConsole"
FROM_CONSOLE = {"console": DATA | {CONSOLE: "true"}, "elsewhere": DATA}
KINDS = {
    "object": DATA,
    "table": DATA | resources("AWS::DynamoDB::Table", TABLE) | {"eventSource": "dynamodb.amazonaws.com"},
    "queue": DATA | resources("AWS::SQS::Queue", QUEUE) | {"eventSource": "sqs.amazonaws.com"},
    "function": DATA | resources("AWS::Lambda::Function", FUNCTION) | {"eventSource": "lambda.amazonaws.com"},
}
CATEGORIES = {"management": MANAGEMENT, "object": DATA, "network": NETWORK}
BUCKETS = {
    name: DATA | resources("AWS::S3::Object", f"arn:aws:s3:::{name}")
    for name in ("logs/a", "logs/pre/b", "logs-2/a", "data/pre/b")
}


def data_resource(kind: str, *values: str, **more) -> dict:
    return {"IncludeManagementEvents": False, "DataResources": [{"Type": kind, "Values": list(values)}]} | more


CASES = [
    # Advanced selectors: the fields of data events.
    *operators("Data", DATA, OBJECTS, "eventName", "PutObjectAcl", "GetObject"),
    *operators("Data", DATA, OBJECTS, "eventSource", "s3-outposts.amazonaws.com", "s3.amazonaws.com"),
    *operators("Data", DATA, OBJECTS, "eventType", "AwsApiCall", "AwsServiceEvent"),
    *operators("Data", DATA, OBJECTS, "resources.ARN", OBJECT, "arn:aws:s3:::another/image.png"),
    *operators("Data", DATA, OBJECTS, "userIdentity.arn", ALICE, f"arn:aws:sts::{ACCOUNT}:assumed-role/R/s"),
    Case(
        "Data readOnly Equals",
        reads_and_writes(DATA) | {"lacking": DATA | {"readOnly": None}},
        [
            (advanced([*OBJECTS, field("readOnly", Equals="true")]), {"read"}),
            (advanced([*OBJECTS, field("readOnly", Equals="false")]), {"write"}),
            (advanced(OBJECTS), {"read", "write", "lacking"}),
        ],
    ),
    Case(
        f"Data {CONSOLE} Equals and NotEquals",
        FROM_CONSOLE,
        [
            (advanced([*OBJECTS, field(CONSOLE, Equals="true")]), {"console"}),
            (advanced([*OBJECTS, field(CONSOLE, NotEquals="true")]), {"elsewhere"}),
        ],
    ),
    Case(
        "Data resources.type Equals",
        KINDS,
        [
            (advanced([category("Data"), field("resources.type", Equals="AWS::S3::Object")]), {"object"}),
            (advanced([category("Data"), field("resources.type", Equals="AWS::SQS::Queue")]), {"queue"}),
            (
                advanced(
                    [category("Data"), field("resources.type", Equals="AWS::DynamoDB::Table")],
                    [category("Data"), field("resources.type", Equals="AWS::Lambda::Function")],
                ),
                {"table", "function"},
            ),
        ],
    ),
    Case(
        "Data resources.ARN StartsWith a prefix of keys, and several operators at once",
        BUCKETS,
        [
            (advanced([*OBJECTS, field("resources.ARN", StartsWith="arn:aws:s3:::logs/")]), {"logs/a", "logs/pre/b"}),
            (advanced([*OBJECTS, field("resources.ARN", StartsWith="arn:aws:s3:::logs/pre")]), {"logs/pre/b"}),
            (
                advanced([
                    *OBJECTS,
                    field("resources.ARN", Equals="arn:aws:s3:::data/pre/b", StartsWith="arn:aws:s3:::logs",
                          NotEndsWith="/a"),
                ]),
                {"logs/pre/b", "data/pre/b"},
            ),
        ],
    ),
    # Of management events.
    Case(
        "eventCategory Equals",
        CATEGORIES,
        [
            (advanced([category("Management")]), {"management"}),
            (advanced(OBJECTS), {"object"}),
            (advanced(CALLS_THROUGH_ENDPOINTS), {"network"}),
            (advanced([category("Management")], OBJECTS, CALLS_THROUGH_ENDPOINTS), {"management", "object", "network"}),
        ],
    ),
    Case(
        "Management readOnly Equals",
        reads_and_writes(MANAGEMENT),
        [
            (advanced([category("Management"), field("readOnly", Equals="true")]), {"read"}),
            (advanced([category("Management"), field("readOnly", Equals="false")]), {"write"}),
        ],
    ),
    Case(
        "Management eventSource NotEquals",
        sources("kms", "rdsdata", "ec2"),
        [
            (advanced([category("Management"), field("eventSource", NotEquals=KMS)]), {"rdsdata", "ec2"}),
            (advanced([category("Management"), field("eventSource", NotEquals=[KMS, RDS_DATA])]), {"ec2"}),
        ],
    ),
    # Of network activity events.
    *operators("NetworkActivity", NETWORK, CALLS_THROUGH_ENDPOINTS, "eventName", "PutObjectAcl", "GetObject"),
    *operators("NetworkActivity", NETWORK, CALLS_THROUGH_ENDPOINTS, "vpcEndpointId", "vpce-0a1b2c", "other-9z8y"),
    Case(
        "NetworkActivity eventSource Equals",
        {name: NETWORK | {"eventSource": f"{name}.amazonaws.com"} for name in ("s3", "kms")},
        [
            (advanced(CALLS_THROUGH_ENDPOINTS), {"s3"}),
            (advanced([category("NetworkActivity"), field("eventSource", Equals="kms.amazonaws.com")]), {"kms"}),
        ],
    ),
    Case(
        "NetworkActivity errorCode Equals",
        {"denied": NETWORK | {"errorCode": "VpceAccessDenied"}, "allowed": NETWORK},
        [
            (advanced([*CALLS_THROUGH_ENDPOINTS, field("errorCode", Equals="VpceAccessDenied")]), {"denied"}),
            (advanced(CALLS_THROUGH_ENDPOINTS), {"denied", "allowed"}),
        ],
    ),
    # Basic selectors.
    Case(
        "ReadWriteType of management events",
        reads_and_writes(MANAGEMENT),
        [
            (basic({"ReadWriteType": "ReadOnly"}), {"read"}),
            (basic({"ReadWriteType": "WriteOnly"}), {"write"}),
            (basic({"ReadWriteType": "All"}), {"read", "write"}),
        ],
    ),
    Case(
        "ReadWriteType of data events",
        reads_and_writes(DATA),
        [
            (basic(data_resource("AWS::S3::Object", "arn:aws:s3", ReadWriteType="ReadOnly")), {"read"}),
            (basic(data_resource("AWS::S3::Object", "arn:aws:s3", ReadWriteType="WriteOnly")), {"write"}),
        ],
    ),
    Case(
        "IncludeManagementEvents",
        CATEGORIES,
        [
            (basic(data_resource("AWS::S3::Object", "arn:aws:s3")), {"object"}),
            (
                basic(data_resource("AWS::S3::Object", "arn:aws:s3", IncludeManagementEvents=True)),
                {"object", "management"},
            ),
            (basic({}), {"management"}),
        ],
    ),
    Case(
        "ExcludeManagementEventSources",
        sources("kms", "rdsdata", "ec2"),
        [
            (basic({"ExcludeManagementEventSources": [KMS]}), {"rdsdata", "ec2"}),
            (basic({"ExcludeManagementEventSources": [RDS_DATA]}), {"kms", "ec2"}),
        ],
    ),
    Case(
        "DataResources of each type",
        KINDS,
        [
            (basic(data_resource("AWS::S3::Object", "arn:aws:s3")), {"object"}),
            (basic(data_resource("AWS::DynamoDB::Table", "arn:aws:dynamodb")), {"table"}),
            (basic(data_resource("AWS::Lambda::Function", "arn:aws:lambda")), {"function"}),
            (
                basic(data_resource("AWS::S3::Object", "arn:aws:s3:::"), data_resource("AWS::DynamoDB::Table", TABLE)),
                {"object", "table"},
            ),
        ],
    ),
    Case(
        "DataResources of S3 by bucket and by prefix",
        BUCKETS,
        [
            (basic(data_resource("AWS::S3::Object", "arn:aws:s3:::logs/")), {"logs/a", "logs/pre/b"}),
            (
                basic(data_resource("AWS::S3::Object", "arn:aws:s3:::logs/pre", "arn:aws:s3:::data/pre")),
                {"logs/pre/b", "data/pre/b"},
            ),
        ],
    ),
    Case(
        "DataResources of one table and of one function",
        {
            "table": KINDS["table"],
            "stream": KINDS["table"] | resources("AWS::DynamoDB::Stream", f"{TABLE}/stream/2026-01-01T00:00:00.000"),
            "another table": KINDS["table"] | resources("AWS::DynamoDB::Table", f"{TABLE}-2"),
            "function": KINDS["function"],
            "another function": KINDS["function"] | resources("AWS::Lambda::Function", f"{FUNCTION}-2"),
        },
        [
            (basic(data_resource("AWS::DynamoDB::Table", TABLE)), {"table", "stream"}),
            (basic(data_resource("AWS::Lambda::Function", FUNCTION)), {"function"}),
        ],
    ),
]


def region_of(case: Case) -> str:
    return f"selected-{CASES.index(case)}"


def prefix_of(case: Case, trail: int) -> str:
    return f"{region_of(case)}/trail-{trail}"


def put_selectors(server, case: Case, trail: int, arguments: dict) -> None:
    """`aws cloudtrail put-event-selectors`; the answer is what was put."""
    ((kind, selectors),) = arguments.items()
    command = [sys.executable, AWS, "cloudtrail", "put-event-selectors", "--trail-name", f"trail-{trail}",
               f"--{kind}", json.dumps(selectors)]  # fmt: skip
    done = subprocess.run(
        command, env=server.cli_environment(region_of(case)), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{case.name}: {done.stdout}\n{done.stderr}"
    member = {"advanced-event-selectors": "AdvancedEventSelectors", "event-selectors": "EventSelectors"}[kind]
    (other,) = {"AdvancedEventSelectors", "EventSelectors"} - {member}
    answer = json.loads(done.stdout)
    assert other not in answer
    assert [got | put == got for got, put in zip(answer[member], selectors, strict=True)], answer


def crafted(case: Case) -> list[dict]:
    """The case's records, twice in turn: when the second of a name is delivered, the first of every other name has
    been decided on. A member that is None is left out."""
    now = datetime.datetime.now(datetime.UTC)
    made = [record(region_of(case), now, **fields) | {"requestID": name}
            for _ in range(2) for name, fields in case.records.items()]  # fmt: skip
    return [{key: value for key, value in one.items() if value is not None} for one in made]


@pytest.fixture(scope="module")
def selected(server, client, bucket):
    """Makes every case's trails, puts every case's records. Gives what a trail has delivered of them, by name."""

    def make(case: Case) -> None:
        cloudtrail = client("cloudtrail", region_of(case))
        for trail, (arguments, _) in enumerate(case.trails):
            cloudtrail.create_trail(Name=f"trail-{trail}", S3BucketName=bucket, S3KeyPrefix=prefix_of(case, trail))
            put_selectors(server, case, trail, arguments)
            cloudtrail.start_logging(Name=f"trail-{trail}")

    def delivered(case: Case, trail: int) -> list[str]:
        # Read from the disk: asking the store would be calls of its own.
        files = (server.data / "objects" / bucket / prefix_of(case, trail)).glob("**/*.json.gz")
        found = [r for file in files if "Digest" not in file.name
                 for r in json.loads(gzip.decompress(file.read_bytes()))["Records"]]  # fmt: skip
        return sorted(r["requestID"] for r in found if r["eventID"] in ours)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(make, CASES))
    records = [record for case in CASES for record in crafted(case)]
    ours = {record["eventID"] for record in records}
    put_records(server, "us-east-1", records)
    yield delivered
    for case in CASES:
        cloudtrail = client("cloudtrail", region_of(case))
        for trail in range(len(case.trails)):
            cloudtrail.delete_trail(Name=f"trail-{trail}")


@pytest.mark.operation("PutEventSelectors")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_trail_delivers_what_its_selectors_take_and_nothing_else(selected, case):
    names = set(case.records)
    for trail, (_, expected) in enumerate(case.trails):
        assert expected <= names
        twice = sorted([*expected, *expected])
        wait_until(lambda: len(selected(case, trail)) >= len(twice), f"delivery to trail {trail}")
        assert selected(case, trail) == twice, f"trail {trail}"


def test_every_field_and_operator_tells_two_trails_apart():
    """The cases are whole: each takes and leaves out something, and every combination of the documentation is there."""
    for case in CASES:
        assert len({frozenset(expected) for _, expected in case.trails}) > 1, case.name
        assert any(expected != set(case.records) for _, expected in case.trails), case.name
    seen = set()
    for case in CASES:
        for arguments, expected in case.trails:
            for selector in arguments.get("advanced-event-selectors", []) if expected != set(case.records) else []:
                fields = {f["Field"]: f for f in selector["FieldSelectors"]}
                (kind,) = fields["eventCategory"]["Equals"]
                seen |= {(kind, name, key) for name, f in fields.items() for key in f if key != "Field"}
    negations = ("NotEquals", "NotStartsWith", "NotEndsWith")
    every = ("Equals", "StartsWith", "EndsWith", *negations)
    filtered = ("eventName", "eventSource", "eventType", "resources.ARN", "userIdentity.arn")
    documented = {
        *(("Data", name, operator) for name in filtered for operator in every),
        *(("Data", name, "Equals") for name in (CONSOLE, "readOnly", "resources.type")),
        ("Data", CONSOLE, "NotEquals"),
        ("Management", "readOnly", "Equals"),
        ("Management", "eventSource", "NotEquals"),
        *(("NetworkActivity", name, operator) for name in ("eventName", "vpcEndpointId") for operator in every),
        *(("NetworkActivity", name, "Equals") for name in ("eventSource", "errorCode")),
    }
    assert documented <= seen, documented - seen


@pytest.mark.operation("PutEventSelectors")
def test_network_activity_events_have_log_files_of_their_own(server, bucket, selected):
    case = next(case for case in CASES if case.name == "eventCategory Equals")
    trail = len(case.trails) - 1
    wait_until(lambda: len(selected(case, trail)) == 2 * len(case.records), "delivery of every record")
    root = server.data / "objects" / bucket / prefix_of(case, trail) / "AWSLogs" / ACCOUNT
    folders = {"CloudTrail": {"Management", "Data"}, "CloudTrail-NetworkActivity": {"NetworkActivity"}}
    for folder, categories in folders.items():
        files = list((root / folder / region_of(case)).glob("**/*.json.gz"))
        assert all(file.name.startswith(f"{ACCOUNT}_{folder}_{region_of(case)}_") for file in files)
        records = [r for file in files for r in json.loads(gzip.decompress(file.read_bytes()))["Records"]]
        assert {record["eventCategory"] for record in records} == categories
