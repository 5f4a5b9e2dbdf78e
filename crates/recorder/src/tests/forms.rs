use super::*;

fn form(text: &'static str, service: &str) -> Exchange {
    let mut exchange = exchange("POST", "/", service);
    with_header(&mut exchange.request_headers, "content-type", "application/x-www-form-urlencoded; charset=utf-8");
    exchange.request_body = body(text);
    exchange
}

#[test]
fn an_assumed_role_is_shown_without_its_secret() {
    let role = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2FR\
                &RoleSessionName=s&Tags.member.1.Key=k&Tags.member.1.Value=a+b";
    let mut exchange = form(role, "sts");
    exchange.response_body = body(
        "<AssumeRoleResponse xmlns='urn:sts'><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>\
         <SecretAccessKey>hush</SecretAccessKey><SessionToken>tok</SessionToken>\
         <Expiration>2026-01-02T04:04:05Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA1:s\
         </AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/R/s</Arn></AssumedRoleUser></AssumeRoleResult>\
         <ResponseMetadata><RequestId>rid</RequestId></ResponseMetadata></AssumeRoleResponse>",
    );
    let record = record(&exchange);
    let expected = json!({
        "roleArn": "arn:aws:iam::111122223333:role/R",
        "roleSessionName": "s",
        "tags": [{ "key": "k", "value": "a b" }],
    });
    assert_eq!(record["requestParameters"], expected);
    let credentials = json!({ "accessKeyId": "ASIA1", "sessionToken": "tok", "expiration": "2026-01-02T04:04:05Z" });
    assert_eq!(record["responseElements"]["credentials"], credentials);
    assert_eq!(record["responseElements"]["assumedRoleUser"]["assumedRoleId"], "AROA1:s");
    assert_eq!((&record["readOnly"], &record["requestID"]), (&json!(true), &json!("rid")));
    assert_eq!(record["resources"][0]["type"], "AWS::IAM::Role");
    assert!(!record.to_string().contains("hush"));
}

#[test]
fn passwords_of_forms_are_hidden() {
    let text = "Action=CreateLoginProfile&UserName=alice&Password=hush";
    let record = record(&form(text, "iam"));
    let hidden = "HIDDEN_DUE_TO_SECURITY_REASONS";
    assert_eq!(record["requestParameters"], json!({ "userName": "alice", "password": hidden }));
    assert_eq!((&record["eventSource"], &record["readOnly"]), (&json!("iam.amazonaws.com"), &json!(false)));
}

#[test]
fn a_web_identity_token_sent_unsigned_to_sts_is_hidden() {
    let mut exchange = form("Action=AssumeRoleWithWebIdentity&WebIdentityToken=hush", "sts");
    exchange.request_headers.remove("authorization");
    let record = record(&exchange);
    assert_eq!((&record["eventSource"], &record["readOnly"]), (&json!("sts.amazonaws.com"), &json!(true)));
    assert!(!record.to_string().contains("hush"));
}

#[test]
fn paths_are_operations_where_they_are_known_and_names_elsewhere() {
    let invoke = record(&exchange("POST", "/2015-03-31/functions/f/invocations", "lambda"));
    assert_eq!((&invoke["eventName"], &invoke["eventCategory"]), (&json!("Invoke"), &json!("Data")));
    assert_eq!(invoke["resources"][0]["ARN"], "arn:aws:lambda:us-east-1:111122223333:function:f");

    let other = record(&exchange("GET", "/v1/apis/a1/stages", "unheard"));
    assert_eq!((&other["eventName"], &other["readOnly"]), (&json!("GetStages"), &json!(true)));
    assert_eq!(other["requestParameters"], json!({ "path": "/v1/apis/a1/stages" }));
}

#[test]
fn a_write_shows_its_result_without_the_secret() {
    let mut exchange = form("Action=CreateAccessKey&Version=2010-05-08&UserName=alice", "iam");
    exchange.response_body = body(
        "<CreateAccessKeyResponse xmlns='urn:iam'><CreateAccessKeyResult><AccessKey><UserName>alice</UserName>\
         <AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status><SecretAccessKey>hush</SecretAccessKey></AccessKey>\
         </CreateAccessKeyResult><ResponseMetadata><RequestId>rid</RequestId></ResponseMetadata>\
         </CreateAccessKeyResponse>",
    );
    let created = record(&exchange);
    let key = json!({ "userName": "alice", "accessKeyId": "AKIA1", "status": "Active" });
    assert_eq!(created["responseElements"], json!({ "accessKey": key }));
    assert!(!created.to_string().contains("hush"));

    exchange.response_body = Captured::Truncated;
    assert_eq!(record(&exchange)["responseElements"], json!({ "omitted": true }));
    let mut listed = form("Action=ListUsers", "iam");
    listed.response_body = body("<ListUsersResponse><ListUsersResult><A>1</A></ListUsersResult></ListUsersResponse>");
    assert_eq!(record(&listed)["responseElements"], Value::Null);
}

#[test]
fn seeds_and_codes_of_forms_are_hidden_in_both_directions() {
    let mut exchange = form("Action=CreateVirtualMFADevice&VirtualMFADeviceName=m", "iam");
    exchange.response_body = body(
        "<R><CreateVirtualMFADeviceResult><VirtualMFADevice><SerialNumber>s</SerialNumber><Base32StringSeed>hush\
         </Base32StringSeed><QRCodePNG>hush</QRCodePNG></VirtualMFADevice></CreateVirtualMFADeviceResult></R>",
    );
    let made = record(&exchange);
    assert_eq!(made["responseElements"]["virtualMFADevice"]["serialNumber"], "s");
    assert!(!made.to_string().contains("hush"));
    for text in [
        "Action=CreateDBInstance&MasterUserPassword=hush&TdeCredentialPassword=hush",
        "Action=RunInstances&UserData=hush",
        "Action=CreateLaunchConfiguration&UserData=hush",
    ] {
        assert!(!record(&form(text, "rds")).to_string().contains("hush"), "{text}");
    }
}
