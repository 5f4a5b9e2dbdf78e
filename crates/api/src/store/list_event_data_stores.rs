use opentrail_wire::cloudtrail::{EventDataStore, ListEventDataStoresInput, ListEventDataStoresOutput};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// Stores of a page when the request does not say; a choice.
const PAGE: usize = 100;

/// The account's stores at home in the Region called, in the order of their ids. The deprecated members of the items
/// stay away: GetEventDataStore has them. (API Reference, EventDataStore.)
pub(crate) async fn list_event_data_stores(
    cx: Context<'_>,
    input: ListEventDataStoresInput,
) -> Outcome<ListEventDataStoresOutput> {
    cx.authorize(Access::anywhere("ListEventDataStores"))?;
    // The last store of the page before, by its ARN.
    let after: Option<String> = match input.next_token.as_deref() {
        Some(token) => Some(page_token::redeem(&cx, "ListEventDataStores", &(), token)?),
        None => None,
    };
    let page = input.max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(PAGE);
    let mut stores = cx.services.stores.of_account(cx.account(), cx.now()).await?;
    stores.retain(|store| store.key.home_region == *cx.region());
    let mut items: Vec<(String, String)> =
        stores.into_iter().map(|store| (store.arn().to_string(), store.name)).collect();
    items.retain(|(arn, _)| after.as_ref().is_none_or(|after| arn > after));
    items.sort();

    let more = items.len() > page;
    items.truncate(page);
    let next_token = match items.last() {
        Some((last, _)) if more => Some(page_token::issue(&cx, "ListEventDataStores", &(), last)),
        _ => None,
    };
    let item =
        |(arn, name)| EventDataStore { event_data_store_arn: Some(arn), name: Some(name), ..EventDataStore::default() };
    Ok(ListEventDataStoresOutput { event_data_stores: Some(items.into_iter().map(item).collect()), next_token })
}
