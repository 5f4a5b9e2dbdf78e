use opentrail_imports::{Failure, ImportError};
use opentrail_wire::cloudtrail::{ImportFailureListItem, ListImportFailuresInput, ListImportFailuresOutput};

use super::ImportInputError;
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// Failures of a page when the request does not say; a choice.
const PAGE: usize = 100;

/// What failed in an import, now or before it was tried again, in the order of locations.
pub(crate) async fn list_import_failures(
    cx: Context<'_>,
    input: ListImportFailuresInput,
) -> Outcome<ListImportFailuresOutput> {
    cx.authorize(Access::anywhere("ListImportFailures"))?;
    let key = cx.import_key(&input.import_id)?;
    let request = ListImportFailuresInput { max_results: None, next_token: None, ..input.clone() };
    // The last location of the page before.
    let after: String = match input.next_token.as_deref() {
        Some(token) => page_token::redeem(&cx, "ListImportFailures", &request, token)?,
        None => String::new(),
    };
    let page = input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let failures = cx.services.imports.failures(&key, &after, page + 1).await;
    let mut failures = match failures {
        Ok(failures) => failures,
        // The operation declares no error of its own for it.
        Err(ImportError::NotFound { .. }) => return Err(ImportInputError::Unknown.into()),
        Err(error) => return Err(error.into()),
    };
    let more = failures.len() > page;
    failures.truncate(page);
    let next_token = match failures.last() {
        Some(last) if more => Some(page_token::issue(&cx, "ListImportFailures", &request, &last.location)),
        _ => None,
    };
    let item = |failure: Failure| ImportFailureListItem {
        location: Some(failure.location),
        status: Some(failure.status.as_str().to_owned()),
        error_type: Some(failure.error.kind.as_str().to_owned()),
        error_message: Some(failure.error.message),
        last_updated_time: Some(failure.updated),
    };
    Ok(ListImportFailuresOutput { failures: Some(failures.into_iter().map(item).collect()), next_token })
}
