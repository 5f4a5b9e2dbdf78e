//! What AWS's documentation names: resource types of data events.
//!
//! The list of types grows often, so any type of the right form is taken; those known here are checked more closely.

/// User Guide, "Logging data events", without `AWS::`. After `=` the services in the type's ARNs where the API
/// Reference gives templates (AdvancedFieldSelector, `resources.ARN`), `-` where its resources have none.
const DATA_TYPES: &str = "\
    AIDevOps::AgentSpace AIDevOps::Association AIDevOps::OperatorAppTeam AIDevOps::PipelineMetadata \
    AIDevOps::Service AIOps::InvestigationGroup AppConfig::Configuration=appconfig AppSync::GraphQLApi \
    B2BI::Transformer=b2bi Backup::SearchJob Bedrock::AdvancedOptimizePromptJob Bedrock::AgentAlias=bedrock \
    Bedrock::AsyncInvoke Bedrock::AutomatedReasoningPolicy Bedrock::AutomatedReasoningPolicyVersion \
    Bedrock::Blueprint Bedrock::DataAutomationInvocation Bedrock::DataAutomationProfile \
    Bedrock::DataAutomationProject Bedrock::FlowAlias Bedrock::FlowExecution Bedrock::Guardrail Bedrock::InlineAgent \
    Bedrock::KnowledgeBase=bedrock Bedrock::Model Bedrock::PromptVersion Bedrock::Session Bedrock::Tool \
    BedrockAgentCore::APIKeyCredentialProvider BedrockAgentCore::Browser BedrockAgentCore::BrowserCustom \
    BedrockAgentCore::CodeInterpreter BedrockAgentCore::CodeInterpreterCustom BedrockAgentCore::Evaluator \
    BedrockAgentCore::Gateway BedrockAgentCore::Memory BedrockAgentCore::OAuth2CredentialProvider \
    BedrockAgentCore::Runtime BedrockAgentCore::RuntimeEndpoint BedrockAgentCore::TokenVault \
    BedrockAgentCore::WorkloadIdentity BedrockAgentCore::WorkloadIdentityDirectory Cassandra::Stream \
    Cassandra::Table=cassandra CloudFront::KeyValueStore=cloudfront CloudOptimization::Profile \
    CloudOptimization::Recommendation CloudTrail::Channel=cloudtrail CloudWatch::Metric=- \
    CodeGuruProfiler::ProfilingGroup CodeWhisperer::Customization=codewhisperer CodeWhisperer::Profile=codewhisperer \
    Cognito::IdentityPool=cognito-identity DSQL::Cluster DataExchange::Asset Deadline::Fleet Deadline::Job \
    Deadline::Queue Deadline::Worker DynamoDB::Stream=dynamodb DynamoDB::Table=dynamodb EC2::InstanceConnectEndpoint \
    EC2::Snapshot=ec2 ECS::ContainerInstance EKS::Dashboard EMRWAL::Workspace=emrwal FSx::Volume \
    FinSpace::Environment=finspace GameLiftStreams::Application GameLiftStreams::StreamGroup GeoMaps::Provider \
    GeoPlaces::Provider GeoRoutes::Provider Glue::Table=glue GreengrassV2::ComponentVersion=greengrass \
    GreengrassV2::Deployment=greengrass GuardDuty::Detector=guardduty GuardDuty::MalwareScan IoT::Certificate=iot \
    IoT::Thing=iot IoTSiteWise::Asset=iotsitewise IoTSiteWise::TimeSeries=iotsitewise \
    IoTTwinMaker::Entity=iottwinmaker IoTTwinMaker::Workspace=iottwinmaker \
    KendraRanking::ExecutionPlan=kendra-ranking Kinesis::Stream=kinesis Kinesis::StreamConsumer=kinesis \
    KinesisFirehose::DeliveryStream KinesisVideo::SignalingChannel KinesisVideo::Stream=kinesisvideo \
    Lambda::Function=lambda MWAA::Environment MachineLearning::MlModel=machinelearning \
    ManagedBlockchain::Network=managedblockchain ManagedBlockchain::Node=managedblockchain \
    ManagedBlockchainQuery::QueryAPI MedicalImaging::Datastore=medical-imaging MedicalImaging::Imageset \
    NeptuneGraph::Graph=neptune-graph NetworkFlowMonitor::Monitor NetworkFlowMonitor::Scope \
    NovaAct::WorkflowDefinition NovaAct::WorkflowRun One::UKey One::User PCAConnectorAD::Connector=pca-connector-ad \
    PCAConnectorSCEP::Connector=pca-connector-scep PaymentCryptography::Alias PaymentCryptography::Key Pinpoint::App \
    QApps::QApp=qapps QApps::QAppSession QBusiness::Application=qbusiness QBusiness::DataSource=qbusiness \
    QBusiness::Index=qbusiness QBusiness::Integration QBusiness::WebExperience=qbusiness QDeveloper::Integration \
    QuickSight::Flow QuickSight::FlowSession Quicksight::ActionConnector RDS::DBCluster=rds RUM::AppMonitor \
    Redshift::Cluster S3::AccessPoint=s3 S3::Object=s3 S3Express::Object \
    S3ObjectLambda::AccessPoint=s3-object-lambda S3Outposts::Object=s3-outposts S3Tables::Table \
    S3Tables::TableBucket S3Vectors::Index S3Vectors::VectorBucket SCN::Instance=scn SDB::Domain \
    SES::ConfigurationSet SES::EmailIdentity SES::Template SMSVoice::Message SMSVoice::OriginationIdentity \
    SNS::PlatformEndpoint=sns SNS::Topic=sns SQS::Queue=sqs SSM::ExecutionPreview SSM::ManagedNode=ssm,ec2 \
    SSMMessages::ControlChannel=ssmmessages SWF::Domain=swf SageMaker::Endpoint=sagemaker \
    SageMaker::ExperimentTrialComponent=sagemaker SageMaker::FeatureGroup=sagemaker SageMaker::MlflowTrackingServer \
    ServiceDiscovery::Namespace=servicediscovery ServiceDiscovery::Service=servicediscovery Signer::SigningJob \
    Signer::SigningProfile SitewiseAssistant::Conversation SocialMessaging::PhoneNumberId SocialMessaging::WabaId \
    StepFunctions::Activity StepFunctions::StateMachine=states SupportAccess::Tenant SupportAccess::TrustingAccount \
    SupportAccess::TrustingRole ThinClient::Device=thinclient ThinClient::Environment=thinclient \
    Timestream::Database=timestream Timestream::RegionalEndpoint Timestream::Table=timestream \
    Transform::AgentInstance TransformCustom::Campaign TransformCustom::Conversation TransformCustom::KnowledgeItem \
    TransformCustom::Package VerifiedPermissions::PolicyStore=verifiedpermissions XRay::Trace=-";

/// What is known of the ARNs of a type's resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arns {
    /// They are of one of these services.
    Of(Vec<&'static str>),
    /// There are none.
    None,
    /// Nothing.
    Unknown,
}

/// What is known of the type `kind`, or `None` if it cannot be one: it has not the form `AWS::Service::Type`, or it is
/// a known one in other upper and lower case, which would match nothing.
pub(crate) fn data_type(kind: &str) -> Option<Arns> {
    let name = kind.strip_prefix("AWS::")?;
    let well_formed = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let (service, resource) = name.split_once("::")?;
    if !well_formed(service) || !well_formed(resource) {
        return None;
    }
    let known = DATA_TYPES.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, "")));
    let mut alike = known.filter(|(known, _)| known.eq_ignore_ascii_case(name)).peekable();
    if alike.peek().is_none() {
        return Some(Arns::Unknown);
    }
    let (_, services) = alike.find(|(known, _)| *known == name)?;
    Some(match services {
        "" => Arns::Unknown,
        "-" => Arns::None,
        services => Arns::Of(services.split(',').collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_is_one() {
        let words: Vec<_> = DATA_TYPES.split_whitespace().collect();
        assert_eq!(words.len(), 175);
        for word in words {
            let name = word.split('=').next().unwrap();
            assert!(data_type(&format!("AWS::{name}")).is_some(), "{name}");
        }
        assert_eq!(data_type("AWS::SSM::ManagedNode"), Some(Arns::Of(vec!["ssm", "ec2"])));
        assert_eq!(data_type("AWS::XRay::Trace"), Some(Arns::None));
        assert_eq!(data_type("AWS::Brand::New"), Some(Arns::Unknown));
    }

    #[test]
    fn what_cannot_be_a_type_is_none() {
        let bad =
            ["", "AWS::S3", "AWS::S3::", "S3::Object", "AWS::S3::Object::Version", "AWS::S3::*", "AWS::s3::object"];
        for bad in bad {
            assert_eq!(data_type(bad), None, "{bad}");
        }
    }
}
