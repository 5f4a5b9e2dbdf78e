//! Each promise of [`Catalog`], held against each backend.

use crate::{Catalog, CatalogError, CatalogExt, Change, Expect, MemoryCatalog, SqliteCatalog};

async fn revisions_grow_and_guard(catalog: &dyn Catalog) {
    let put = |expect, body: &str| vec![Change::put("things", "a", expect, &body)];
    catalog.commit(put(Expect::Absent, "one")).await.unwrap();
    assert!(matches!(catalog.commit(put(Expect::Absent, "x")).await, Err(CatalogError::Conflict { .. })));
    catalog.commit(put(Expect::Revision(1), "two")).await.unwrap();
    assert!(matches!(catalog.commit(put(Expect::Revision(1), "x")).await, Err(CatalogError::Conflict { .. })));
    let found = catalog.find::<String>("things", "a").await.unwrap().unwrap();
    assert_eq!((found.revision, found.value.as_str()), (2, "two"));
    catalog.commit(vec![Change::delete("things", "a", Expect::Revision(2))]).await.unwrap();
    assert_eq!(catalog.find::<String>("things", "a").await.unwrap(), None);
    catalog.commit(put(Expect::Absent, "again")).await.unwrap();
    assert_eq!(catalog.find::<String>("things", "a").await.unwrap().unwrap().revision, 1);
}

async fn a_transaction_applies_whole_or_not_at_all(catalog: &dyn Catalog) {
    let changes = vec![
        Change::put("pairs", "left", Expect::Anything, &1),
        Change::put("pairs", "right", Expect::Revision(9), &2),
    ];
    catalog.commit(changes).await.unwrap_err();
    assert!(catalog.all::<u32>("pairs", "").await.unwrap().is_empty());
}

async fn lists_are_ordered_prefixed_and_paged(catalog: &dyn Catalog) {
    for key in ["b/2", "a/1", "b/10", "b/1", "c", "b", "bé/1", "B/1"] {
        catalog.commit(vec![Change::put("list", key, Expect::Absent, &key)]).await.unwrap();
    }
    let keys = |page: Vec<crate::Versioned<Vec<u8>>>| page.into_iter().map(|d| d.key).collect::<Vec<_>>();
    assert_eq!(keys(catalog.list("list", "b/", "", 10).await.unwrap()), ["b/1", "b/10", "b/2"]);
    assert_eq!(keys(catalog.list("list", "b/", "b/1", 1).await.unwrap()), ["b/10"]);
    assert_eq!(keys(catalog.list("list", "", "", 3).await.unwrap()), ["B/1", "a/1", "b"]);
    assert!(catalog.list("other", "", "", 10).await.unwrap().is_empty());
}

async fn holds_every_promise(catalog: &dyn Catalog) {
    revisions_grow_and_guard(catalog).await;
    a_transaction_applies_whole_or_not_at_all(catalog).await;
    lists_are_ordered_prefixed_and_paged(catalog).await;
}

#[tokio::test]
async fn memory() {
    holds_every_promise(&MemoryCatalog::default()).await;
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    holds_every_promise(&SqliteCatalog::open(&path).await.unwrap()).await;
    let reopened = SqliteCatalog::open(&path).await.unwrap();
    assert_eq!(reopened.find::<String>("things", "a").await.unwrap().unwrap().value, "again");
}
