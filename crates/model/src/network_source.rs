/// User Guide, "Logging network activity events", without `.amazonaws.com`.
const NETWORK_SOURCES: &str = "\
    aco-automation appconfig application-signals appmesh athena b2bi backup-gateway bcm-data-exports \
    bcm-pricing-calculator bedrock-agentcore bedrock billing cassandra ce cloudcontrolapi cloudformation cloudhsm \
    cloudoptimization cloudtrail codedeploy comprehend comprehendmedical config ds dynamodb ec2 ecs \
    elasticfilesystem elasticloadbalancing events firehose frauddetector freetier fsx glue healthlake invoicing iot \
    iotfleetwise iotsecuredtunneling kms lakeformation lambda license-manager lookoutequipment lookoutvision \
    monitoring nova-act personalize qbusiness rds rekognition rolesanywhere s3 sagemaker scheduler secretsmanager \
    servicediscovery sns sqs ssm-contacts ssm storagegateway swf textract transcribe transcribestreaming \
    transform-agents transform-custom transform translate user-subscriptions verifiedpermissions voiceid workmail \
    workmailmessageflow";

/// Whether network activity events of `event_source`, e.g. `s3.amazonaws.com`, exist.
pub fn is_network_source(event_source: &str) -> bool {
    let name = event_source.strip_suffix(".amazonaws.com");
    name.is_some_and(|name| NETWORK_SOURCES.split_whitespace().any(|known| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_sources_are_those_of_the_guide() {
        assert_eq!(NETWORK_SOURCES.split_whitespace().count(), 76);
        assert!(is_network_source("s3.amazonaws.com") && is_network_source("ssm-contacts.amazonaws.com"));
        assert!(!is_network_source("s3") && !is_network_source("iam.amazonaws.com"));
    }
}
