use opentrail_identity::AssumeRole;
use opentrail_wire::query::{Params, element};
use opentrail_wire::sigv4::QueryError;

use super::{Answer, credentials, duration_seconds, refusal};
use crate::access::Access;
use crate::context::Context;

/// Parameters that would narrow or mark the session and are not built yet; passing over them in silence would give
/// more than was asked for.
const NOT_BUILT: [&str; 4] = [
    "PolicyArns.member.1.arn",
    "Tags.member.1.Key",
    "TransitiveTagKeys.member.1",
    "ProvidedContexts.member.1.ProviderArn",
];

/// Temporary credentials of a role, for those whom its trust policy allows.
pub(super) fn assume_role(cx: Context<'_>, params: &Params) -> Answer {
    if let Some(name) = NOT_BUILT.iter().find(|name| params.find(name).is_some()) {
        let member = name.split_once('.').map_or(*name, |(member, _)| member);
        return Err(QueryError::validation(format!("{member} is not available yet. Leave the parameter out.")));
    }
    let input = AssumeRole {
        role_arn: params.require("RoleArn")?,
        session_name: params.require("RoleSessionName")?,
        duration_seconds: duration_seconds(params)?,
        policy: params.find("Policy"),
        external_id: params.find("ExternalId"),
        source_identity: params.find("SourceIdentity"),
        serial_number: params.find("SerialNumber"),
        token_code: params.find("TokenCode"),
    };
    let services = cx.services;
    let conditions = cx.conditions(Access::on("AssumeRole", input.role_arn));
    let assumed = services
        .directory
        .assume_role(&cx.call.principal, &input, &conditions, cx.now(), &*services.random)
        .map_err(refusal)?;

    let mut result = String::new();
    result.push_str("<AssumedRoleUser>");
    element(&mut result, "AssumedRoleId", &assumed.assumed_role_id);
    element(&mut result, "Arn", assumed.arn.as_str());
    result.push_str("</AssumedRoleUser>");
    credentials(&mut result, &assumed.credentials);
    if let Some(percent) = assumed.packed_policy_percent {
        element(&mut result, "PackedPolicySize", &percent.to_string());
    }
    if let Some(source_identity) = &assumed.source_identity {
        element(&mut result, "SourceIdentity", source_identity);
    }
    Ok(result)
}
