//! The facts. (User Guide, "CloudTrail Lake event schemas"; what is a choice says so.)

use super::{Part, Shape};

const fn part(from: &'static str, shape: Shape) -> Part {
    Part { renamed: None, from, shape }
}

const fn text(from: &'static str) -> Part {
    part(from, Shape::Text)
}

const fn map(from: &'static str) -> Part {
    part(from, Shape::Map)
}

const fn renamed(name: &'static str, from: &'static str, shape: Shape) -> Part {
    Part { renamed: Some(name), from, shape }
}

/// A column that is not found in the event as it stands: who writes or reads it knows it.
const fn made(name: &'static str, shape: Shape) -> Part {
    renamed(name, "", shape)
}

const EVENT_TIME: Part = made("eventtime", Shape::Time);
const EVENT_CATEGORY: Part = made("eventcategory", Shape::Text);
const ACCOUNT: Part = made("recipientaccountid", Shape::Text);
const EVENT_JSON: Part = made("eventjson", Shape::Text);
const EVENT_ID: Part = text("eventID|eventId");

/// `Management`, `Data`, `NetworkActivity`.
pub(super) const CLOUD_TRAIL: &[Part] = &[
    text("eventVersion"),
    part("userIdentity", Shape::Struct(USER_IDENTITY)),
    EVENT_TIME,
    text("eventSource"),
    text("eventName"),
    text("awsRegion"),
    text("sourceIPAddress"),
    text("userAgent"),
    text("errorCode"),
    text("errorMessage"),
    map("requestParameters"),
    map("responseElements"),
    map("additionalEventData"),
    text("requestID"),
    EVENT_ID,
    part("readOnly", Shape::Flag),
    part("resources", Shape::List(RESOURCE)),
    text("eventType"),
    text("apiVersion"),
    part("managementEvent", Shape::Flag),
    ACCOUNT,
    text("sharedEventID"),
    text("annotation"),
    text("vpcEndpointId"),
    text("vpcEndpointAccountId"),
    map("serviceEventDetails"),
    map("addendum"),
    map("edgeDeviceDetails"),
    map("insightDetails"),
    EVENT_CATEGORY,
    part("tlsDetails", Shape::Struct(TLS_DETAILS)),
    part("sessionCredentialFromConsole", Shape::Word),
    EVENT_JSON,
    made("eventjsonchecksum", Shape::Text),
    part("eventContext", Shape::Struct(EVENT_CONTEXT)),
];

const USER_IDENTITY: &[Part] = &[
    text("type"),
    text("principalId"),
    text("arn"),
    text("accountId"),
    text("accessKeyId"),
    text("userName"),
    part("sessionContext", Shape::Struct(SESSION_CONTEXT)),
    part("onBehalfOf", Shape::Struct(&[text("userId"), text("identityStoreArn")])),
    part("inScopeOf", Shape::Struct(IN_SCOPE_OF)),
    text("invokedBy"),
    text("identityProvider"),
    text("credentialId"),
];

const SESSION_CONTEXT: &[Part] = &[
    part("attributes", Shape::Struct(&[part("creationDate", Shape::Time), part("mfaAuthenticated", Shape::Word)])),
    part(
        "sessionIssuer",
        Shape::Struct(&[text("type"), text("principalId"), text("arn"), text("accountId"), text("userName")]),
    ),
    part("webIdFederationData", Shape::Struct(&[text("federatedProvider"), map("attributes")])),
    text("sourceIdentity"),
    // Records have these as texts and as other values.
    part("ec2RoleDelivery", Shape::Any),
    part("ec2IssuedInVpc", Shape::Any),
];

/// The published schema spells its last part so.
const IN_SCOPE_OF: &[Part] = &[
    text("sourceArn"),
    text("sourceAccount"),
    text("issuerType"),
    renamed("credentiaisissuedto", "credentialsIssuedTo", Shape::Text),
];

const RESOURCE: &[Part] = &[text("accountId"), text("type"), text("ARN"), text("ARNPrefix")];

const TLS_DETAILS: &[Part] = &[text("tlsVersion"), text("cipherSuite"), text("clientProvidedHostHeader")];

const EVENT_CONTEXT: &[Part] = &[
    part(
        "tagContext",
        Shape::Struct(&[part("resourceTags", Shape::List(&[text("arn"), map("tags")])), map("principalTags")]),
    ),
    map("requestContext"),
];

/// Flat in an event data store's events, below `insightDetails` in a trail's: both are understood.
pub(super) const INSIGHT: &[Part] = &[
    text("eventVersion"),
    EVENT_CATEGORY,
    text("eventType"),
    EVENT_ID,
    EVENT_TIME,
    text("awsRegion"),
    ACCOUNT,
    text("sharedEventID"),
    map("addendum"),
    text("insightSource"),
    text("insightState|insightDetails.state"),
    text("insightEventSource|insightDetails.eventSource"),
    text("insightEventName|insightDetails.eventName"),
    text("insightErrorCode|insightDetails.errorCode"),
    text("insightType|insightDetails.insightType"),
    part("insightContext|insightDetails.insightContext", Shape::Struct(INSIGHT_CONTEXT)),
    EVENT_JSON,
];

const INSIGHT_CONTEXT: &[Part] = &[
    part("baselineAverage|statistics.baseline.average", Shape::Double),
    part("insightAverage|statistics.insight.average", Shape::Double),
    part("baselineDuration|statistics.baselineDuration", Shape::Integer),
    part("insightDuration|statistics.insightDuration", Shape::Integer),
    part("attributions", Shape::List(ATTRIBUTION)),
];

/// Published as structs; in events these are lists, and a struct could not hold them.
const ATTRIBUTION: &[Part] = &[
    text("attribute"),
    part("insightValue", Shape::Any),
    part("insightAverage", Shape::Double),
    part("baselineValue", Shape::Any),
    part("baselineAverage", Shape::Double),
    part("insight", Shape::List(AVERAGED)),
    part("baseline", Shape::List(AVERAGED)),
];

const AVERAGED: &[Part] = &[part("value", Shape::Any), part("average", Shape::Double)];

/// Items of AWS Config. Queries use `eventjson` on such stores, too.
pub(super) const CONFIGURATION_ITEM: &[Part] = &[
    text("eventVersion"),
    EVENT_CATEGORY,
    text("eventType"),
    EVENT_ID,
    EVENT_TIME,
    text("awsRegion"),
    ACCOUNT,
    map("addendum"),
    part("eventData", Shape::Struct(ITEM)),
    EVENT_JSON,
];

const ITEM: &[Part] = &[
    text("configurationItemVersion"),
    text("configurationItemCaptureTime"),
    text("configurationItemStatus"),
    part("configurationItemStateId|configurationStateId", Shape::Any),
    text("accountId"),
    text("resourceType"),
    text("resourceId"),
    text("resourceName"),
    text("arn|ARN"),
    text("awsRegion"),
    text("availabilityZone"),
    text("resourceCreationTime"),
    map("configuration"),
    map("supplementaryConfiguration"),
    part("relatedEvents", Shape::Any),
    // Published as a struct; an item has a list of them, which a struct could not hold.
    part(
        "relationships",
        Shape::List(&[text("name|relationshipName"), text("resourceType"), text("resourceId"), text("resourceName")]),
    ),
    map("tags"),
];

/// Evidence of Audit Manager.
pub(super) const EVIDENCE: &[Part] = &[
    text("eventVersion"),
    EVENT_CATEGORY,
    text("eventType"),
    EVENT_ID,
    EVENT_TIME,
    text("awsRegion"),
    ACCOUNT,
    map("addendum"),
    part("eventData", Shape::Struct(EVIDENCE_DATA)),
    EVENT_JSON,
];

const EVIDENCE_DATA: &[Part] = &[
    map("attributes"),
    text("awsAccountId"),
    text("awsOrganization"),
    text("complianceCheck"),
    text("dataSource"),
    text("eventName"),
    text("eventSource"),
    text("evidenceAwsAccountId"),
    text("evidenceByType"),
    text("iamId"),
    text("evidenceId"),
    part("time", Shape::Time),
    text("assessmentId"),
    text("controlSetId"),
    text("controlId"),
    text("controlName"),
    text("controlDomainName"),
    text("frameworkName"),
    text("frameworkId"),
    text("service"),
    text("serviceCategory"),
    text("resourceArn"),
    text("resourceType"),
    text("evidenceFolderId"),
    text("description"),
    text("manualEvidenceS3ResourcePath"),
    text("evidenceFolderName"),
    text("resourceComplianceCheck"),
];

/// Events from outside AWS.
pub(super) const ACTIVITY_AUDIT_LOG: &[Part] = &[
    text("eventVersion"),
    EVENT_CATEGORY,
    text("eventType"),
    EVENT_ID,
    EVENT_TIME,
    text("awsRegion"),
    ACCOUNT,
    part("addendum", Shape::Struct(ADDENDUM)),
    part("metadata", Shape::Struct(&[text("ingestionTime"), text("channelARN|ingestionChannelArn")])),
    part("eventData", Shape::Struct(ACTIVITY)),
    EVENT_JSON,
];

const ADDENDUM: &[Part] =
    &[text("reason"), part("updatedFields", Shape::Any), text("originalUID"), text("originalEventID")];

/// The published schema spells `errormssage` so.
const ACTIVITY: &[Part] = &[
    text("version"),
    part("userIdentity", Shape::Struct(&[text("type"), text("principalId"), map("details")])),
    text("userAgent"),
    text("eventSource"),
    text("eventName"),
    text("eventTime"),
    text("UID|uid"),
    map("requestParameters"),
    map("responseElements"),
    text("errorCode"),
    renamed("errormssage", "errorMessage", Shape::Text),
    text("sourceIPAddress"),
    text("recipientAccountId"),
    map("additionalEventData"),
];
