//! Read or write, management or data. CloudTrail publishes no formula: verbs and exceptions as observed in records and
//! as the services' guides list them.

/// Verbs of calls that change nothing.
const READ_VERBS: &[&str] =
    &["Get", "List", "Describe", "Head", "BatchGet", "BatchDescribe", "Lookup", "Search", "Query", "Scan", "Select"];

/// Exceptions from the verbs: event source, operation, whether it reads.
const READ_EXCEPTIONS: &[(&str, &str, bool)] = &[
    ("bedrock.amazonaws.com", "InvokeModel", true),
    ("dynamodb.amazonaws.com", "TransactGetItems", true),
    ("kms.amazonaws.com", "Decrypt", true),
    ("kms.amazonaws.com", "DeriveSharedSecret", true),
    ("kms.amazonaws.com", "Encrypt", true),
    ("kms.amazonaws.com", "GenerateDataKey", true),
    ("kms.amazonaws.com", "GenerateDataKeyPair", true),
    ("kms.amazonaws.com", "GenerateDataKeyPairWithoutPlaintext", true),
    ("kms.amazonaws.com", "GenerateDataKeyWithoutPlaintext", true),
    ("kms.amazonaws.com", "GenerateMac", true),
    ("kms.amazonaws.com", "GenerateRandom", true),
    ("kms.amazonaws.com", "ReEncrypt", true),
    ("kms.amazonaws.com", "Sign", true),
    ("kms.amazonaws.com", "Verify", true),
    ("kms.amazonaws.com", "VerifyMac", true),
    ("sts.amazonaws.com", "AssumeRole", true),
    ("sts.amazonaws.com", "AssumeRoleWithSAML", true),
    ("sts.amazonaws.com", "AssumeRoleWithWebIdentity", true),
    ("sts.amazonaws.com", "DecodeAuthorizationMessage", true),
    ("sts.amazonaws.com", "GetFederationToken", false),
    ("sts.amazonaws.com", "GetSessionToken", false),
];

/// Services some of whose operations are data events, apart from S3.
const DATA: &[(&str, &[&str])] = &[
    (
        "dynamodb.amazonaws.com",
        &[
            "BatchExecuteStatement",
            "BatchGetItem",
            "BatchWriteItem",
            "DeleteItem",
            "ExecuteStatement",
            "ExecuteTransaction",
            "GetItem",
            "GetRecords",
            "GetShardIterator",
            "PutItem",
            "Query",
            "Scan",
            "TransactGetItems",
            "TransactWriteItems",
            "UpdateItem",
        ],
    ),
    ("lambda.amazonaws.com", &["Invoke", "InvokeAsync", "InvokeWithResponseStream"]),
    ("sns.amazonaws.com", &["Publish", "PublishBatch"]),
    (
        "sqs.amazonaws.com",
        &[
            "ChangeMessageVisibility",
            "ChangeMessageVisibilityBatch",
            "DeleteMessage",
            "DeleteMessageBatch",
            "ReceiveMessage",
            "SendMessage",
            "SendMessageBatch",
        ],
    ),
    ("kinesis.amazonaws.com", &["GetRecords", "GetShardIterator", "PutRecord", "PutRecords", "SubscribeToShard"]),
    ("firehose.amazonaws.com", &["PutRecord", "PutRecordBatch"]),
    ("events.amazonaws.com", &["PutEvents", "PutPartnerEvents"]),
    ("logs.amazonaws.com", &["FilterLogEvents", "GetLogEvents", "GetLogRecord", "PutLogEvents"]),
    (
        "ebs.amazonaws.com",
        &[
            "CompleteSnapshot",
            "GetSnapshotBlock",
            "ListChangedBlocks",
            "ListSnapshotBlocks",
            "PutSnapshotBlock",
            "StartSnapshot",
        ],
    ),
    (
        "monitoring.amazonaws.com",
        &["GetMetricData", "GetMetricStatistics", "GetMetricWidgetImage", "ListMetrics", "PutMetricData"],
    ),
    (
        "cognito-identity.amazonaws.com",
        &[
            "GetCredentialsForIdentity",
            "GetId",
            "GetOpenIdToken",
            "GetOpenIdTokenForDeveloperIdentity",
            "UnlinkIdentity",
        ],
    ),
    ("cloudtrail-data.amazonaws.com", &["PutAuditEvents"]),
    (
        "states.amazonaws.com",
        &["GetActivityTask", "SendTaskFailure", "SendTaskHeartbeat", "SendTaskSuccess", "StartSyncExecution"],
    ),
];

/// Whether a call reads only.
pub(crate) fn reads(event_source: &str, operation: &str) -> bool {
    if let Some((.., reads)) = READ_EXCEPTIONS.iter().find(|(s, o, _)| *s == event_source && *o == operation) {
        return *reads;
    }
    READ_VERBS.iter().any(|verb| {
        operation
            .strip_prefix(verb)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(|next: char| next.is_ascii_uppercase()))
    })
}

/// Whether a call of another service than S3 is a data event.
pub(crate) fn is_data(event_source: &str, operation: &str) -> bool {
    DATA.iter().any(|(source, operations)| *source == event_source && operations.contains(&operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_their_exceptions_tell_reads_from_writes() {
        let reading = |service: &str, operation| reads(&format!("{service}.amazonaws.com"), operation);
        assert!(reading("cloudtrail", "LookupEvents") && reading("dynamodb", "Query") && reading("kms", "Decrypt"));
        assert!(reading("sts", "AssumeRole") && reading("sts", "GetCallerIdentity"));
        assert!(!reading("sts", "GetSessionToken") && !reading("kms", "ScheduleKeyDeletion"));
        assert!(!reading("x", "Getaway") && !reading("dynamodb", "ExecuteStatement"));
    }
}
