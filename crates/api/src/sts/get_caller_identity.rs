use opentrail_wire::query::element;

use crate::context::Context;

/// Who calls. Needs no permission. (API Reference, GetCallerIdentity.)
pub(super) fn get_caller_identity(cx: Context<'_>) -> String {
    let principal = &cx.call.principal;
    let mut result = String::new();
    element(&mut result, "Arn", principal.arn().as_str());
    element(&mut result, "UserId", &principal.user_id());
    element(&mut result, "Account", &principal.account.to_string());
    result
}
