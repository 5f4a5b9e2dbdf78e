use opentrail_imports::Import;
use opentrail_model::Timestamp;
use opentrail_wire::cloudtrail::{ImportsListItem, ListImportsInput, ListImportsOutput};
use uuid::Uuid;

use super::shapes;
use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;
use crate::store::parse_store;

/// Imports of a page when the request does not say; a choice.
const PAGE: usize = 100;

/// The imports of the account in the Region called, newest first: a choice, as AWS does not say.
pub(crate) async fn list_imports(cx: Context<'_>, input: ListImportsInput) -> Outcome<ListImportsOutput> {
    cx.authorize(Access::anywhere("ListImports"))?;
    let destination = input.destination.as_deref().map(|text| parse_store(&cx, text)).transpose()?;
    let request = ListImportsInput { max_results: None, next_token: None, ..input.clone() };
    // The last import of the page before.
    let after: Option<(Timestamp, Uuid)> = match input.next_token.as_deref() {
        Some(token) => Some(page_token::redeem(&cx, "ListImports", &request, token)?),
        None => None,
    };
    let page = input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let mut imports = cx.services.imports.list(cx.account(), cx.region()).await?;
    imports.retain(|import| {
        after.is_none_or(|after| (import.created, import.key.id) < after)
            && destination.as_ref().is_none_or(|destination| import.destination == *destination)
            && input.import_status.as_deref().is_none_or(|status| import.status.as_str() == status)
    });
    let more = imports.len() > page;
    imports.truncate(page);
    let next_token = match imports.last() {
        Some(last) if more => Some(page_token::issue(&cx, "ListImports", &request, &(last.created, last.key.id))),
        _ => None,
    };
    let item = |import: Import| ImportsListItem {
        import_id: Some(import.key.id.to_string()),
        import_status: Some(import.status.as_str().to_owned()),
        destinations: Some(shapes::destinations(&import)),
        created_timestamp: Some(import.created),
        updated_timestamp: Some(import.updated),
    };
    Ok(ListImportsOutput { imports: Some(imports.into_iter().map(item).collect()), next_token })
}
