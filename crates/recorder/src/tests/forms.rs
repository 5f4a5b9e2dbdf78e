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
                &RoleSessionName=s&DurationSeconds=900&Tags.member.1.Key=k&Tags.member.1.Value=a+b";
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
        "durationSeconds": 900,
        "tags": [{ "key": "k", "value": "a b" }],
    });
    assert_eq!(record["requestParameters"], expected);
    let expiration = "Jan 2, 2026, 4:04:05 AM";
    let credentials = json!({ "accessKeyId": "ASIA1", "sessionToken": "tok", "expiration": expiration });
    assert_eq!(record["responseElements"]["credentials"], credentials);
    assert_eq!(record["responseElements"]["assumedRoleUser"]["assumedRoleId"], "AROA1:s");
    assert_eq!((&record["readOnly"], &record["requestID"]), (&json!(true), &json!("rid")));
    assert_eq!(record["resources"][0]["type"], "AWS::IAM::Role");
    assert!(!record.to_string().contains("hush"));
}

#[test]
fn passwords_of_forms_are_hidden_and_those_of_iam_left_out() {
    let text = "Action=CreateLoginProfile&UserName=alice&Password=hush&PasswordResetRequired=false";
    let shown = record(&form(text, "iam"));
    assert_eq!(shown["requestParameters"], json!({ "userName": "alice", "passwordResetRequired": false }));
    assert_eq!((&shown["eventSource"], &shown["readOnly"]), (&json!("iam.amazonaws.com"), &json!(false)));
    let changed = record(&form("Action=ChangePassword&OldPassword=hush&NewPassword=hush", "iam"));
    assert_eq!(changed["requestParameters"], Value::Null);
    let elsewhere = record(&form("Action=CreateDBInstance&MasterUserPassword=hush", "rds"));
    assert_eq!(elsewhere["requestParameters"]["masterUserPassword"], "HIDDEN_DUE_TO_SECURITY_REASONS");
}

#[test]
fn calls_of_iam_are_global_and_show_what_they_made() {
    let mut exchange = form("Action=CreateUser&UserName=123&Tags.member.1.Key=k&Tags.member.1.Value=true", "iam");
    exchange.request_headers.insert(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260102/eu-west-1/iam/aws4_request, SignedHeaders=host, \
         Signature=5ec2e7"
            .parse()
            .unwrap(),
    );
    exchange.response_body = body(
        "<CreateUserResponse xmlns='https://iam.amazonaws.com/doc/2010-05-08/'><CreateUserResult><User><Path>/</Path>\
         <UserName>123</UserName><UserId>AIDA1</UserId><Arn>arn:aws:iam::111122223333:user/123</Arn>\
         <CreateDate>2026-01-02T15:04:05Z</CreateDate><Tags><member><Key>k</Key><Value>true</Value></member></Tags>\
         </User></CreateUserResult></CreateUserResponse>",
    );
    let made = record(&exchange);
    assert_eq!(made["awsRegion"], "us-east-1");
    let tags = json!([{ "key": "k", "value": "true" }]);
    assert_eq!(made["requestParameters"], json!({ "userName": "123", "tags": tags }));
    let user = json!({
        "path": "/",
        "userName": "123",
        "userId": "AIDA1",
        "arn": "arn:aws:iam::111122223333:user/123",
        "createDate": "Jan 2, 2026 3:04:05 PM",
        "tags": tags,
    });
    assert_eq!(made["responseElements"], json!({ "user": user }));
}

#[test]
fn a_new_access_key_is_shown_without_its_secret() {
    let mut exchange = form("Action=CreateAccessKey&UserName=alice", "iam");
    exchange.response_body = body(
        "<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>alice</UserName><AccessKeyId>AKIA1\
         </AccessKeyId><Status>Active</Status><SecretAccessKey>hush</SecretAccessKey>\
         <CreateDate>2026-01-02T03:04:05Z</CreateDate></AccessKey></CreateAccessKeyResult></CreateAccessKeyResponse>",
    );
    let made = record(&exchange);
    let key = json!({
        "userName": "alice", "accessKeyId": "AKIA1", "status": "Active", "createDate": "Jan 2, 2026 3:04:05 AM",
    });
    assert_eq!(made["responseElements"], json!({ "accessKey": key }));
    assert!(!made.to_string().contains("hush"));
}

#[test]
fn errors_of_iam_have_the_names_of_its_model() {
    let mut exchange = form("Action=GetRole&RoleName=none", "iam");
    exchange.status = Some(StatusCode::NOT_FOUND);
    exchange.response_body =
        body("<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no</Message></Error></ErrorResponse>");
    let failed = record(&exchange);
    assert_eq!((&failed["errorCode"], &failed["errorMessage"]), (&json!("NoSuchEntityException"), &json!("no")));
    exchange.response_body =
        body("<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>");
    assert_eq!(record(&exchange)["errorCode"], "AccessDenied");
}

#[test]
fn a_role_of_another_account_is_recorded_in_both() {
    let mut exchange = form("Action=AssumeRole&RoleArn=arn:aws:iam::444455556666:role/R&RoleSessionName=s", "sts");
    exchange.caller = crate::Caller::Identity(json!({
        "type": "IAMUser", "principalId": "AIDA1", "arn": "arn:aws:iam::111122223333:user/alice",
        "accountId": "111122223333", "accessKeyId": "AKIA1", "userName": "alice",
    }));
    let mut next = 0;
    let mut ids = || {
        next += 1;
        uuid::Uuid::from_u128(next)
    };
    let records = crate::shared(crate::record(&exchange).unwrap(), &mut ids);
    let [callers, owners] = &records[..] else { panic!("{} records", records.len()) };
    assert_eq!(
        (callers.account.to_string(), owners.account.to_string()),
        ("111122223333".into(), "444455556666".into())
    );
    let parsed = |recorded: &crate::Recorded| serde_json::from_slice::<Value>(&recorded.body).unwrap();
    let (callers, owners) = (parsed(callers), parsed(owners));
    assert_eq!(callers["sharedEventID"], uuid::Uuid::from_u128(1).to_string());
    assert_eq!(callers["sharedEventID"], owners["sharedEventID"]);
    assert_ne!(callers["eventID"], owners["eventID"]);
    assert_eq!(callers["userIdentity"]["userName"], "alice");
    let reduced = json!({ "type": "AWSAccount", "principalId": "AIDA1", "accountId": "111122223333" });
    assert_eq!((&owners["userIdentity"], &owners["recipientAccountId"]), (&reduced, &json!("444455556666")));
    let keys: Vec<&String> = callers.as_object().unwrap().keys().collect();
    let at = |key: &str| keys.iter().position(|one| *one == key).unwrap();
    assert!(at("recipientAccountId") < at("sharedEventID") && at("sharedEventID") < at("eventCategory"));

    exchange.status = Some(StatusCode::FORBIDDEN);
    assert_eq!(crate::shared(crate::record(&exchange).unwrap(), &mut ids).len(), 1);
    let own = form("Action=AssumeRole&RoleArn=arn:aws:iam::111122223333:role/R&RoleSessionName=s", "sts");
    assert_eq!(crate::shared(crate::record(&own).unwrap(), &mut ids).len(), 1);
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
