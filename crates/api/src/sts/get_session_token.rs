use opentrail_identity::GetSessionToken;
use opentrail_wire::query::Params;

use super::{Answer, credentials, duration_seconds, refusal};
use crate::context::Context;

/// Temporary credentials of the caller's own. Needs no permission.
pub(super) fn get_session_token(cx: Context<'_>, params: &Params) -> Answer {
    let input = GetSessionToken {
        duration_seconds: duration_seconds(params)?,
        serial_number: params.find("SerialNumber"),
        token_code: params.find("TokenCode"),
    };
    let services = cx.services;
    let made = services.directory.session_token(&cx.call.principal, &input, cx.now(), &*services.random);
    let mut result = String::new();
    credentials(&mut result, &made.map_err(refusal)?);
    Ok(result)
}
