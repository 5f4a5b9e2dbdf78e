use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, StringViewArray, StringViewBuilder,
    TimestampMicrosecondArray, UInt32Array,
};
use datafusion::arrow::compute::{concat_batches, take};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::exploit;
use super::keys::{MOST_COLUMNS, Sames};

/// Texts as a file's dictionary gives them: of rows that have the same one, the views are the same.
fn dictionary(texts: &[Option<String>]) -> ArrayRef {
    let mut known: Vec<Option<String>> = texts.to_vec();
    known.sort();
    known.dedup();
    let mut values = StringViewBuilder::new().with_fixed_block_size(1 << 16);
    known.iter().for_each(|text| values.append_option(text.as_deref()));
    let places = texts.iter().map(|text| known.binary_search(text).unwrap() as u32);
    take(&values.finish(), &UInt32Array::from_iter_values(places), None).unwrap()
}

fn numbers(sames: &mut Sames, columns: &[ArrayRef]) -> (Vec<usize>, Vec<usize>) {
    let (mut numbers, mut firsts) = (Vec::new(), Vec::new());
    sames.number(columns, &mut numbers, |row| firsts.push(row));
    (numbers, firsts)
}

#[test]
fn rows_of_one_value_are_of_one_group() {
    let long = "a text that does not stand in its view";
    let texts: Vec<_> = [
        Some("short"),
        None,
        Some(long),
        Some("short"),
        Some(""),
        Some(long),
        None,
        Some("another text as long as that"),
    ]
    .map(|text| text.map(str::to_owned))
    .into();
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![
        Some(true),
        None,
        Some(false),
        Some(true),
        Some(false),
        Some(false),
        None,
        Some(true),
    ]));
    let whole = dictionary(&texts);
    let mut sames = Sames::new(1);
    assert_eq!(numbers(&mut sames, &[Arc::clone(&whole)]), (vec![0, 1, 2, 0, 3, 2, 1, 4], vec![0, 1, 2, 4, 7]));
    // What comes later is of the groups that are known, wherever its array begins.
    assert_eq!(numbers(&mut sames, &[whole.slice(4, 4)]), (vec![3, 2, 1, 4], vec![]));
    assert_eq!(numbers(&mut Sames::new(1), &[flags.slice(1, 7)]).0, [0, 1, 2, 1, 1, 0, 2]);
    assert_eq!(numbers(&mut Sames::new(2), &[whole.slice(1, 7), flags.slice(1, 7)]).0, [0, 1, 2, 3, 1, 0, 4]);
    sames.clear();
    assert_eq!(numbers(&mut sames, &[whole.slice(4, 4)]), (vec![0, 1, 2, 3], vec![0, 1, 2, 3]));
    // Equal bits elsewhere in memory are another key, never another value.
    assert_eq!(numbers(&mut sames, &[dictionary(&texts[5..6])]).0, [4]);
}

#[test]
fn numbers_and_times_are_told_apart_by_what_they_are() {
    let numbers_of = |column: ArrayRef| numbers(&mut Sames::new(1), &[column]).0;
    assert_eq!(numbers_of(Arc::new(Int64Array::from(vec![Some(-1), None, Some(0), Some(-1), None]))), [0, 1, 2, 0, 1]);
    assert_eq!(numbers_of(Arc::new(TimestampMicrosecondArray::from(vec![7, 7, i64::MIN, 7]).slice(1, 3))), [0, 1, 0]);
    for width in 1..=MOST_COLUMNS {
        let columns: Vec<ArrayRef> = (0..width as i64)
            .map(|column| Arc::new(Int64Array::from_iter_values((0..64).map(|row| (row >> column) & 1))) as ArrayRef)
            .collect();
        let mut expected = HashMap::new();
        let rows: Vec<usize> = (0..64_i64)
            .map(|row| {
                let next = expected.len();
                *expected.entry(row & ((1 << width) - 1)).or_insert(next)
            })
            .collect();
        assert_eq!(numbers(&mut Sames::new(width), &columns).0, rows, "{width} columns");
    }
}

fn schema() -> SchemaRef {
    let field = |name: &str, of| Field::new(name, of, true);
    Arc::new(Schema::new(vec![
        field("a", DataType::Utf8View),
        field("b", DataType::Utf8View),
        field("plain", DataType::Utf8),
        field("flag", DataType::Boolean),
        field("number", DataType::Int64),
        field("time", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ]))
}

type Row = (Option<String>, Option<String>, Option<bool>, Option<i64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let texts = |text: fn(&Row) -> &Option<String>| rows.iter().map(|row| text(row).clone()).collect::<Vec<_>>();
    let numbers = || rows.iter().map(|row| row.3);
    let columns: Vec<ArrayRef> = vec![
        dictionary(&texts(|row| &row.0)),
        // As if each row had its own copy.
        Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.2).collect::<BooleanArray>()),
        Arc::new(numbers().collect::<Int64Array>()),
        Arc::new(numbers().collect::<TimestampMicrosecondArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// What the statement gives, in order, as it is and with what values repeat; and the plan of the latter.
async fn both(statement: &str, parts: Vec<Vec<RecordBatch>>, memory_bytes: usize) -> (String, String, String) {
    let memory = Arc::new(GreedyMemoryPool::new(memory_bytes));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory).build_arc().unwrap();
    let config = SessionConfig::new().with_target_partitions(2).with_batch_size(512);
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_table("t", Arc::new(MemTable::try_new(schema(), parts).unwrap())).unwrap();
    // A plan runs once.
    let plan = async || context.sql(statement).await.unwrap().create_physical_plan().await.unwrap();
    let (plain, exploited) = (plan().await, exploit(plan().await).unwrap());
    let shown = displayable(&*exploited).indent(false).to_string();
    let rendered = async |plan| {
        let batches = collect(plan, context.task_ctx()).await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let mut lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    (rendered(plain).await, rendered(exploited).await, shown)
}

const GROUPED: [&str; 8] = [
    "SELECT a, count(*) FROM t GROUP BY a",
    "SELECT a, b, flag, number, count(*), count(flag), sum(number), min(number), max(b) FROM t GROUP BY a, b, flag, number",
    "SELECT DISTINCT b, time FROM t",
    "SELECT a, count(DISTINCT b) FROM t GROUP BY a",
    "SELECT flag, avg(number), bool_or(flag) FROM t WHERE a LIKE '%ab%' GROUP BY flag",
    "SELECT time, count(*) FROM t WHERE upper(b) <> 'AB' AND NOT (a LIKE '%a%') GROUP BY time",
    "SELECT date_trunc('hour', time), count(*) FROM t GROUP BY 1 HAVING count(*) > 1",
    "SELECT count(*), x.a FROM t x JOIN t y ON x.number = y.number WHERE starts_with(lower(x.a), 'a') GROUP BY x.a",
];

fn row() -> impl Strategy<Value = Row> {
    let text = || proptest::option::weighted(0.9, "[abAB]{0,2}|[ab]{14,15}");
    (text(), text(), proptest::option::of(any::<bool>()), proptest::option::of(-3_i64..3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_statement_gives_the_same_with_it(parts in prop::collection::vec(prop::collection::vec(row(), 0..200), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let batches: Vec<RecordBatch> = parts.iter().map(|rows| batch(rows)).collect();
        let parts: Vec<Vec<RecordBatch>> = batches.chunks(2).map(<[RecordBatch]>::to_vec).collect();
        for statement in GROUPED {
            let (plain, exploited, _) = runtime.block_on(both(statement, parts.clone(), usize::MAX));
            prop_assert_eq!(plain, exploited, "{}", statement);
        }
    }
}

#[tokio::test]
async fn plans_that_can_have_it_do_and_others_stay_as_they_are() {
    let rows: Vec<Row> = (0..300).map(|n| (Some(format!("name {}", n % 7)), None, None, Some(n))).collect();
    let parts = vec![vec![batch(&rows)], vec![batch(&rows)]];
    for statement in GROUPED {
        let (_, _, shown) = both(statement, parts.clone(), usize::MAX).await;
        assert!(shown.contains("Grouped"), "{statement}\n{shown}");
    }
    for statement in [
        "SELECT plain, count(*) FROM t GROUP BY plain",
        "SELECT count(*) FROM t",
        "SELECT a, count(*) FILTER (WHERE flag) FROM t GROUP BY a",
        "SELECT a, array_agg(number ORDER BY number) FROM t GROUP BY a",
        "SELECT a, b, count(*) FROM t GROUP BY GROUPING SETS ((a), (b))",
    ] {
        let (plain, exploited, shown) = both(statement, parts.clone(), usize::MAX).await;
        assert!(!shown.contains("Grouped"), "{statement}\n{shown}");
        assert_eq!(plain, exploited);
    }
}

#[tokio::test]
async fn groups_without_end_are_handed_on_in_bounded_memory() {
    // Each row is a group of its own, whose text takes a kilobyte: 64 MB in all.
    let rows = |part: usize| {
        let row = |n: usize| (Some(format!("{:01000}", part * 1024 + n)), None, None, Some(1));
        vec![batch(&(0..1024).map(row).collect::<Vec<Row>>())]
    };
    let all: Vec<Vec<RecordBatch>> = vec![(0..64).flat_map(rows).collect()];
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    context.register_table("t", Arc::new(MemTable::try_new(schema(), all).unwrap())).unwrap();
    let plan =
        context.sql("SELECT a, sum(number) FROM t GROUP BY a").await.unwrap().create_physical_plan().await.unwrap();
    let mut grouped = exploit(plan).unwrap();
    while grouped.name() != "Grouped" {
        grouped = Arc::clone(grouped.children()[0]);
    }
    for memory_bytes in [256 << 20, 0] {
        let memory = Arc::new(GreedyMemoryPool::new(memory_bytes));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&memory) as _).build_arc().unwrap();
        let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
        let batches = collect(Arc::clone(&grouped), context.task_ctx()).await.unwrap();
        let most = batches.iter().map(RecordBatch::num_rows).max().unwrap();
        assert!(most <= 2 * 8192, "{most} rows at once");
        let all = concat_batches(&grouped.schema(), &batches).unwrap();
        assert_eq!(all.num_rows(), 64 * 1024);
        let sums = all.column(1).as_primitive::<datafusion::arrow::datatypes::Int64Type>();
        assert!(sums.iter().all(|sum| sum == Some(1)));
    }
}
