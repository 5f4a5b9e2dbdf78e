//! The monitoring section of the CIS AWS Foundations Benchmark: fifteen metric filters and an alarm on each.
//!
//! The patterns are the benchmark's and AWS Security Hub's, to the letter but for white space: scanners compare them so.
//! Names of filters and metrics are those that published baselines use.

/// The namespace of the metrics.
pub(super) const NAMESPACE: &str = "CISBenchmark";

/// One thing that is watched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    /// Its number in version 1.4 and later of the benchmark.
    pub(super) number: &'static str,
    /// The name of filter, metric and alarm.
    pub(super) name: &'static str,
    /// What has happened when the alarm rises.
    pub(super) meaning: &'static str,
    /// The filter's pattern.
    pub(super) pattern: &'static str,
}

/// All of them, in the benchmark's order.
pub(super) const CONTROLS: [Control; 15] = [
    Control {
        number: "4.1",
        name: "UnauthorizedAPICalls",
        meaning: "a call was denied",
        pattern: r#"{($.errorCode="*UnauthorizedOperation") || ($.errorCode="AccessDenied*")}"#,
    },
    Control {
        number: "4.2",
        name: "NoMFAConsoleSignin",
        meaning: "a sign-in to the console without MFA",
        pattern: r#"{ ($.eventName = "ConsoleLogin") && ($.additionalEventData.MFAUsed != "Yes") }"#,
    },
    Control {
        number: "4.3",
        name: "RootUsage",
        meaning: "the root user was used",
        pattern: concat!(
            r#"{$.userIdentity.type="Root" && $.userIdentity.invokedBy NOT EXISTS && "#,
            r#"$.eventType !="AwsServiceEvent"}"#,
        ),
    },
    Control {
        number: "4.4",
        name: "IAMChanges",
        meaning: "a policy of IAM was changed",
        pattern: concat!(
            r#"{($.eventName=DeleteGroupPolicy)||($.eventName=DeleteRolePolicy)||($.eventName=DeleteUserPolicy)||"#,
            r#"($.eventName=PutGroupPolicy)||($.eventName=PutRolePolicy)||($.eventName=PutUserPolicy)||"#,
            r#"($.eventName=CreatePolicy)||($.eventName=DeletePolicy)||($.eventName=CreatePolicyVersion)||"#,
            r#"($.eventName=DeletePolicyVersion)||($.eventName=AttachRolePolicy)||"#,
            r#"($.eventName=DetachRolePolicy)||($.eventName=AttachUserPolicy)||($.eventName=DetachUserPolicy)||"#,
            r#"($.eventName=AttachGroupPolicy)||($.eventName=DetachGroupPolicy)}"#,
        ),
    },
    Control {
        number: "4.5",
        name: "CloudTrailCfgChanges",
        meaning: "a trail was changed",
        pattern: concat!(
            r#"{($.eventName=CreateTrail) || ($.eventName=UpdateTrail) || ($.eventName=DeleteTrail) || "#,
            r#"($.eventName=StartLogging) || ($.eventName=StopLogging)}"#,
        ),
    },
    Control {
        number: "4.6",
        name: "ConsoleSigninFailures",
        meaning: "a sign-in to the console failed",
        pattern: r#"{ ($.eventName = ConsoleLogin) && ($.errorMessage = "Failed authentication") }"#,
    },
    Control {
        number: "4.7",
        name: "DisableOrDeleteCMK",
        meaning: "a KMS key was disabled or is to be deleted",
        pattern: concat!(
            r#"{ ($.eventSource = kms.amazonaws.com) && (($.eventName = DisableKey) || "#,
            r#"($.eventName = ScheduleKeyDeletion)) }"#,
        ),
    },
    Control {
        number: "4.8",
        name: "S3BucketPolicyChanges",
        meaning: "a bucket's policy or the like was changed",
        pattern: concat!(
            r#"{ ($.eventSource = s3.amazonaws.com) && (($.eventName = PutBucketAcl) || "#,
            r#"($.eventName = PutBucketPolicy) || ($.eventName = PutBucketCors) || "#,
            r#"($.eventName = PutBucketLifecycle) || ($.eventName = PutBucketReplication) || "#,
            r#"($.eventName = DeleteBucketPolicy) || ($.eventName = DeleteBucketCors) || "#,
            r#"($.eventName = DeleteBucketLifecycle) || ($.eventName = DeleteBucketReplication)) }"#,
        ),
    },
    Control {
        number: "4.9",
        name: "AWSConfigChanges",
        meaning: "the recording of AWS Config was changed",
        pattern: concat!(
            r#"{ ($.eventSource = config.amazonaws.com) && (($.eventName=StopConfigurationRecorder)||"#,
            r#"($.eventName=DeleteDeliveryChannel)||($.eventName=PutDeliveryChannel)||"#,
            r#"($.eventName=PutConfigurationRecorder)) }"#,
        ),
    },
    Control {
        number: "4.10",
        name: "SecurityGroupChanges",
        meaning: "a security group was changed",
        pattern: concat!(
            r#"{ ($.eventName = AuthorizeSecurityGroupIngress) || "#,
            r#"($.eventName = AuthorizeSecurityGroupEgress) || ($.eventName = RevokeSecurityGroupIngress) || "#,
            r#"($.eventName = RevokeSecurityGroupEgress) || ($.eventName = CreateSecurityGroup) || "#,
            r#"($.eventName = DeleteSecurityGroup) }"#,
        ),
    },
    Control {
        number: "4.11",
        name: "NACLChanges",
        meaning: "a network ACL was changed",
        pattern: concat!(
            r#"{ ($.eventName = CreateNetworkAcl) || ($.eventName = CreateNetworkAclEntry) || "#,
            r#"($.eventName = DeleteNetworkAcl) || ($.eventName = DeleteNetworkAclEntry) || "#,
            r#"($.eventName = ReplaceNetworkAclEntry) || ($.eventName = ReplaceNetworkAclAssociation) }"#,
        ),
    },
    Control {
        number: "4.12",
        name: "NetworkGWChanges",
        meaning: "a network gateway was changed",
        pattern: concat!(
            r#"{ ($.eventName = CreateCustomerGateway) || ($.eventName = DeleteCustomerGateway) || "#,
            r#"($.eventName = AttachInternetGateway) || ($.eventName = CreateInternetGateway) || "#,
            r#"($.eventName = DeleteInternetGateway) || ($.eventName = DetachInternetGateway) }"#,
        ),
    },
    Control {
        number: "4.13",
        name: "RouteTableChanges",
        meaning: "a route table was changed",
        pattern: concat!(
            r#"{ ($.eventName = CreateRoute) || ($.eventName = CreateRouteTable) || "#,
            r#"($.eventName = ReplaceRoute) || ($.eventName = ReplaceRouteTableAssociation) || "#,
            r#"($.eventName = DeleteRouteTable) || ($.eventName = DeleteRoute) || "#,
            r#"($.eventName = DisassociateRouteTable) }"#,
        ),
    },
    Control {
        number: "4.14",
        name: "VPCChanges",
        meaning: "a VPC was changed",
        pattern: concat!(
            r#"{ ($.eventName = CreateVpc) || ($.eventName = DeleteVpc) || ($.eventName = ModifyVpcAttribute) || "#,
            r#"($.eventName = AcceptVpcPeeringConnection) || ($.eventName = CreateVpcPeeringConnection) || "#,
            r#"($.eventName = DeleteVpcPeeringConnection) || ($.eventName = RejectVpcPeeringConnection) || "#,
            r#"($.eventName = AttachClassicLinkVpc) || ($.eventName = DetachClassicLinkVpc) || "#,
            r#"($.eventName = DisableVpcClassicLink) || ($.eventName = EnableVpcClassicLink) }"#,
        ),
    },
    Control {
        number: "4.15",
        name: "OrganizationsChanges",
        meaning: "the organization was changed",
        pattern: concat!(
            r#"{ ($.eventSource = organizations.amazonaws.com) && (($.eventName = "AcceptHandshake") || "#,
            r#"($.eventName = "AttachPolicy") || ($.eventName = "CreateAccount") || "#,
            r#"($.eventName = "CreateOrganizationalUnit") || ($.eventName= "CreatePolicy") || "#,
            r#"($.eventName = "DeclineHandshake") || ($.eventName = "DeleteOrganization") || "#,
            r#"($.eventName = "DeleteOrganizationalUnit") || ($.eventName = "DeletePolicy") || "#,
            r#"($.eventName = "DetachPolicy") || ($.eventName = "DisablePolicyType") || "#,
            r#"($.eventName = "EnablePolicyType") || ($.eventName = "InviteAccountToOrganization") || "#,
            r#"($.eventName = "LeaveOrganization") || ($.eventName = "MoveAccount") || "#,
            r#"($.eventName = "RemoveAccountFromOrganization") || ($.eventName = "UpdatePolicy") || "#,
            r#"($.eventName = "UpdateOrganizationalUnit")) }"#,
        ),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one_and_every_name_is_there_once() {
        let names: std::collections::BTreeSet<_> = CONTROLS.iter().map(|control| control.name).collect();
        assert_eq!(names.len(), CONTROLS.len());
        for control in CONTROLS {
            let pattern = opentrail_filters::FilterPattern::parse(control.pattern);
            assert!(pattern.is_ok(), "{}: {pattern:?}", control.name);
            assert!(control.pattern.len() <= 1024, "{}", control.name);
        }
    }
}
