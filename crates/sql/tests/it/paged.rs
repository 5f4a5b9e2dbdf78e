//! Tables that are read page by page, by the names that a statement may have for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use opentrail_sql::{Cell, ColumnKind, Page, Pages, Statement, StatementError, paged_table};
use uuid::Uuid;

use crate::support::{Failure, Table, run_over, shared};

const ID: Uuid = Uuid::nil();
const PAGES: u64 = 4;

/// Three rows a page: a number, its text, a list, a time; some are null.
#[derive(Debug, Default)]
struct Numbers {
    asked: AtomicU64,
    fails_at: Option<u64>,
}

#[async_trait]
impl Pages for Numbers {
    fn columns(&self) -> &'static [(&'static str, ColumnKind)] {
        &[("n", ColumnKind::Number), ("name", ColumnKind::Text), ("parts", ColumnKind::Texts), ("at", ColumnKind::Time)]
    }

    async fn page(&self, at: Option<u64>) -> Result<Page, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let page = at.unwrap_or_default();
        if self.fails_at == Some(page) {
            return Err("the shelf is empty".to_owned());
        }
        let row = |n: u64| {
            let number = i64::try_from(n).unwrap();
            let text = if n == 5 { Cell::Null } else { Cell::Text(format!("n{n}")) };
            let parts = Cell::Texts(vec!["a".to_owned(); usize::try_from(n % 3).unwrap()]);
            let at = Cell::Time("2026-02-03T04:05:06.789Z".parse().unwrap());
            vec![Cell::Number(number), text, parts, at]
        };
        let rows = (page * 3..page * 3 + 3).map(row).collect();
        Ok(Page { rows, next: (page + 1 < PAGES).then_some(page + 1) })
    }
}

async fn ask(pages: &Arc<Numbers>, sql: &str) -> Result<Table, Failure> {
    let statement = Statement::parse_with(sql, &[("numbers", ID)]).map_err(Failure::Statement)?;
    let table = paged_table(Arc::clone(pages) as _).map_err(Failure::Statement)?;
    run_over(shared(), &statement, BTreeMap::from([(ID, table)])).await
}

async fn rows(sql: &str) -> Vec<Vec<Option<String>>> {
    ask(&Arc::default(), sql).await.unwrap().rows
}

fn texts(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

#[tokio::test]
async fn every_page_is_read_and_values_keep_their_kinds() {
    let all = "SELECT count(*), sum(n), count(name), sum(cardinality(parts)) FROM numbers";
    assert_eq!(rows(all).await, [texts(&["12", "66", "11", "12"])]);
    let one = "SELECT n, Numbers.name, parts, at FROM Numbers WHERE n = 5 OR name = 'n8' ORDER BY n";
    let found = rows(one).await;
    assert_eq!(
        found[0],
        [Some("5".to_owned()), None, Some("[a, a]".to_owned()), Some("2026-02-03 04:05:06.789".to_owned())]
    );
    assert_eq!(found[1][..2], texts(&["8", "n8"]));
    assert_eq!(rows("SELECT count(*) FROM numbers a JOIN numbers b ON a.n = b.n + 1").await, [texts(&["11"])]);
}

#[tokio::test]
async fn a_limit_stops_the_reading() {
    let pages = Arc::new(Numbers::default());
    assert_eq!(ask(&pages, "SELECT n FROM numbers LIMIT 2").await.unwrap().rows, [texts(&["0"]), texts(&["1"])]);
    assert!(pages.asked.load(Ordering::Relaxed) < PAGES);
}

#[tokio::test]
async fn a_page_that_cannot_be_read_fails_the_query_with_its_reason() {
    let pages = Arc::new(Numbers { fails_at: Some(2), ..Numbers::default() });
    let failure = ask(&pages, "SELECT sum(n) FROM numbers").await.unwrap_err();
    assert!(matches!(&failure, Failure::Run(error) if error.to_string().contains("the shelf is empty")), "{failure:?}");
}

#[tokio::test]
async fn a_query_of_with_goes_before_the_name_and_no_other_statement_knows_it() {
    assert_eq!(rows("WITH numbers AS (SELECT 7 AS x) SELECT x FROM numbers").await, [texts(&["7"])]);
    let unknown = Statement::parse("SELECT n FROM numbers").unwrap_err();
    assert!(matches!(unknown, StatementError::UnknownTable { name, .. } if name == "numbers"));
    let statement = Statement::parse_with("SELECT n FROM numbers", &[("numbers", ID)]).unwrap();
    assert_eq!(statement.stores().iter().collect::<Vec<_>>(), [&ID]);
}
