"""TLS on the port and on both sides of a gateway, with certificates made here."""

import datetime
import ipaddress
import json

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from opentrail_server import ACCOUNT, REGION, Server, free_port, wait_until


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1: the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .sign(key, hashes.SHA256()))
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()))
    return certificate, private


def test_calls_over_tls_are_recorded_with_their_tls_details_on_both_sides_of_a_gateway(tmp_path, certificate):
    cert, private = certificate
    gateway_port = free_port()
    tls = f'tls_certificate = "{cert}"\ntls_private_key = "{private}"\n'
    server = Server(tmp_path / "server")
    server.config.write_text(f"""
[server]
{tls}
[[gateway]]
listen = "127.0.0.1:{gateway_port}"
upstream = "https://127.0.0.1:{server.port}"
upstream_ca = "{cert}"
account = "{ACCOUNT}"
region = "{REGION}"
{tls}
""")
    server.endpoint = f"https://127.0.0.1:{server.port}"
    server.is_ready = lambda: ready(server.port, cert)
    with server:
        key, secret = server.key()

        def client(service, port):
            return boto3.client(service, region_name=REGION, endpoint_url=f"https://127.0.0.1:{port}", verify=str(cert),
                                aws_access_key_id=key, aws_secret_access_key=secret,
                                config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))

        client("s3", gateway_port).create_bucket(Bucket="over-tls")
        trails = client("cloudtrail", server.port)
        trails.describe_trails()

        def events(name):
            attributes = [{"AttributeKey": "EventName", "AttributeValue": name}]
            found = trails.lookup_events(LookupAttributes=attributes)["Events"]
            return [json.loads(event["CloudTrailEvent"]) for event in found]

        # One by the gateway, one by the embedded store behind it.
        both = wait_until(lambda: (e := events("CreateBucket")) and len(e) == 2 and e, "both records of CreateBucket")
        for event in [*both, *events("DescribeTrails")]:
            assert event["tlsDetails"]["tlsVersion"] == "TLSv1.3", event
            assert event["tlsDetails"]["cipherSuite"].startswith("TLS_"), event
        hosts = {event["tlsDetails"]["clientProvidedHostHeader"] for event in both}
        assert hosts == {f"127.0.0.1:{gateway_port}"}, "the request leaves the gateway as it was signed"
        assert server.stop() == 0


def ready(port, cert):
    import ssl
    import urllib.error
    import urllib.request
    try:
        context = ssl.create_default_context(cafile=str(cert))
        return urllib.request.urlopen(f"https://127.0.0.1:{port}/health/ready", timeout=5, context=context).status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
