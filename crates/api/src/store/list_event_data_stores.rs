use opentrail_wire::cloudtrail::{EventDataStore, ListEventDataStoresInput, ListEventDataStoresOutput};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// The account's stores at home in the Region called, in the order of their ids; for a delegated administrator those of its
/// organization, too, a choice: it could not find them otherwise. The deprecated members of the items
/// stay away: GetEventDataStore has them. (API Reference, EventDataStore.)
pub(crate) async fn list_event_data_stores(
    cx: Context<'_>,
    input: ListEventDataStoresInput,
) -> Outcome<ListEventDataStoresOutput> {
    cx.authorize(Access::anywhere("ListEventDataStores"))?;
    let mut stores = cx.services.stores.of_account(cx.account(), cx.now()).await?;
    stores.extend(cx.administered_stores().await?);
    stores.retain(|store| store.key.home_region == *cx.region());
    let items = stores.into_iter().map(|store| (store.arn().to_string(), store.name)).collect();
    let (items, next_token) =
        page_token::page(&cx, "ListEventDataStores", items, input.max_results, input.next_token.as_deref())?;
    let item =
        |(arn, name)| EventDataStore { event_data_store_arn: Some(arn), name: Some(name), ..EventDataStore::default() };
    Ok(ListEventDataStoresOutput { event_data_stores: Some(items.into_iter().map(item).collect()), next_token })
}
