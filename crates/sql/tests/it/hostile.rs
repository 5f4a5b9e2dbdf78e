//! Text that means harm: it ends as an error, quickly, and nothing else suffers.

use std::time::{Duration, Instant};

use opentrail_sql::{RunError, Statement, StatementError};
use proptest::prelude::*;

use crate::support::{Failure, STORE, engine, query, real_records, run, shared};

fn refusal(sql: &str) -> String {
    match Statement::parse(&sql.replace("{eds}", STORE)) {
        Err(error) => error.to_string(),
        Ok(statement) => panic!("{sql}: taken, {:?}", statement.stores()),
    }
}

#[test]
fn a_statement_is_one_select() {
    for (sql, expected) in [
        ("", "has 0 characters"),
        (";", "found nothing"),
        ("-- only a comment", "found nothing"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("DROP TABLE {eds}", "DROP is not supported"),
        ("INSERT INTO {eds} VALUES (1)", "INSERT is not supported"),
        ("UPDATE {eds} SET a = 1", "UPDATE is not supported"),
        ("DELETE FROM {eds}", "DELETE is not supported"),
        ("EXPLAIN SELECT 1", "EXPLAIN is not supported"),
        ("SHOW TABLES", "SHOW is not supported"),
        ("SET x = 1", "SET is not supported"),
        ("COPY {eds} TO '/tmp/x'", "COPY is not supported"),
        ("CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'", ""),
        ("SELECT * INTO x FROM {eds}", "INTO is not supported"),
        ("SELECT * FROM '/etc/passwd'", ""),
        ("SELECT * FROM \"/etc/passwd\"", "table '/etc/passwd' does not exist"),
        ("SELECT * FROM information_schema.tables", "table 'information_schema.tables' does not exist"),
        ("SELECT * FROM x", "line 1:15: table 'x' does not exist"),
        ("SELECT * FROM a.{eds}", "does not exist"),
        ("SELECT * FROM generate_series(1, 10)", "a table function is not supported"),
        ("SELECT * FROM TABLE(x(1))", "not supported"),
        ("SELECT * FROM LATERAL flatten(1)", "not supported"),
        ("WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r", "WITH RECURSIVE is not supported"),
        ("SELECT ?", "not supported"),
        ("SELECT $1", ""),
        ("SELECT @x", ""),
        ("SELECT * FROM {eds} FOR UPDATE", "FOR is not supported"),
        ("SELECT * EXCLUDE (a) FROM {eds}", ""),
        ("SELECT FROM {eds}", ""),
        ("FROM {eds}", ""),
        ("SELECT eventName FROM FROM {eds}", "line 1:"),
        ("SELECT 'open FROM {eds}", "line 1:8"),
        ("SELECT a FROM {eds} WHERE a = 'x'ORDER", ""),
        ("VALUES (1); DROP TABLE x", "more than one statement"),
        ("(INSERT INTO x SELECT 1)", ""),
        ("WITH x AS (DELETE FROM {eds}) SELECT * FROM x", ""),
    ] {
        let message = refusal(sql);
        assert!(message.contains(expected), "{sql}: {message}");
    }
}

#[test]
fn stores_are_found_where_they_are_named() {
    let (one, two) = (STORE.to_uppercase(), "a0b1c2d3-0000-4000-8000-00000000000f");
    let sql = format!(
        "/* {two} */ SELECT '{two}', \"eventName\" -- {two}\nFROM {one} AS a, (SELECT 1 FROM \"{two}\") WHERE a.x \
            = 'it''s {two}'"
    );
    let statement = Statement::parse(&sql).unwrap();
    let stores: Vec<String> = statement.stores().iter().map(ToString::to_string).collect();
    assert_eq!(stores, [STORE, two]);
    let only_text = Statement::parse(&format!("SELECT '{STORE}'")).unwrap();
    assert!(only_text.stores().is_empty());
}

#[test]
fn length_is_counted_in_characters() {
    let statement = |length: usize| format!("SELECT '{}'", "ä".repeat(length - 9));
    assert!(Statement::parse(&statement(10_000)).is_ok());
    assert_eq!(Statement::parse(&statement(10_001)), Err(StatementError::Length { length: 10_001 }));
    assert!(matches!(Statement::parse(&"x".repeat(1 << 20)), Err(StatementError::Length { .. })));
}

#[tokio::test]
async fn depth_and_multiplication_are_bounded() {
    let nested =
        |open: &str, close: &str, times: usize| format!("SELECT {}1{}", open.repeat(times), close.repeat(times));
    let doubled = |times: usize| {
        let next = |n: usize| format!(", a{n} AS (SELECT x.x + y.x AS x FROM a{m} x, a{m} y)", m = n - 1);
        let rest: String = (1..times).map(next).collect();
        format!("WITH a0 AS (SELECT 1 AS x){rest} SELECT * FROM a{}", times - 1)
    };
    let substituted = |times: usize| {
        let next = |n: usize| format!(", a{n} AS (SELECT x + x AS x FROM a{m})", m = n - 1);
        let rest: String = (1..times).map(next).collect();
        format!("WITH a0 AS (SELECT 1 AS x){rest} SELECT * FROM a{} WHERE x > 0", times - 1)
    };
    let widened =
        (0..20).fold("SELECT 1 AS x".to_owned(), |inner, n| format!("SELECT a{n}.*, a{n}.* FROM ({inner}) a{n}"));
    let chain = |term: &str, joint: &str| vec![term; 9_900 / (term.len() + joint.len())].join(joint);
    for (what, sql) in [
        ("parentheses", nested("(", ")", 4_000)),
        ("functions", nested("abs(", ")", 1_500)),
        ("NOT", format!("SELECT {} true", "NOT ".repeat(2_000))),
        ("minus", format!("SELECT {}1", "- ".repeat(4_000))),
        ("CASE", nested("CASE WHEN true THEN ", " END", 400)),
        ("sub-queries", nested("(SELECT ", ")", 900)),
        ("queries in FROM", format!("SELECT * FROM {}{STORE}{}", "(SELECT * FROM ".repeat(500), ")".repeat(500))),
        ("dots", format!("SELECT a{}", ".b".repeat(4_000))),
        ("subscripts", format!("SELECT a{}", "[1]".repeat(3_000))),
        ("types", format!("SELECT CAST(1 AS {}bigint{})", "array(".repeat(1_000), ")".repeat(1_000))),
        ("lambdas", nested("any_match(ARRAY[1], x -> ", ")", 300)),
        ("doubling", doubled(60)),
        ("substitution", substituted(60)),
        ("widening", widened),
        ("plus", format!("SELECT {}", chain("1", "+"))),
    ] {
        let start = Instant::now();
        let result = query(&sql, &[]).await;
        assert!(matches!(result, Err(Failure::Statement(_))), "{what}: {result:?}");
        assert!(start.elapsed() < Duration::from_secs(20), "{what} took {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn long_conditions_run() {
    let records = &real_records()[..real_records().len().min(50)];
    for sql in [
        format!("SELECT count(*) FROM {{eds}} WHERE {}", vec!["eventName = 'x'"; 490].join(" OR ")),
        format!("SELECT count(*) FROM {{eds}} WHERE {}", vec!["eventName <> 'x'"; 450].join(" AND ")),
        format!("SELECT count(*) FROM {{eds}} WHERE eventName IN ({})", vec!["'x'"; 2_400].join(",")),
        format!("SELECT {}", vec!["1"; 300].join("+")),
    ] {
        let start = Instant::now();
        let table = query(&sql, records).await.unwrap();
        assert_eq!(table.rows.len(), 1);
        assert!(start.elapsed() < Duration::from_secs(20), "{} took {:?}", &sql[..60], start.elapsed());
    }
}

#[tokio::test]
async fn many_relations_are_planned_in_time() {
    let relations = |joint: &str| (0..150).map(|n| format!("(SELECT {n} AS x) a{n}")).collect::<Vec<_>>().join(joint);
    let equal = (1..150).map(|n| format!("a{}.x<a{n}.x", n - 1)).collect::<Vec<_>>().join(" AND ");
    for sql in [
        format!("SELECT count(*) FROM {}", relations(", ")),
        format!("SELECT count(*) FROM {} WHERE {equal}", relations(", ")),
        format!("SELECT count(*) FROM ({})", vec!["SELECT 1 AS x"; 150].join(" UNION ALL ")),
    ] {
        let start = Instant::now();
        match query(&sql, &[]).await {
            Ok(table) => assert_eq!(table.rows.len(), 1),
            Err(error) => panic!("{}: {error}", &sql[..60]),
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{} took {:?}", &sql[..60], start.elapsed());
    }
}

#[tokio::test]
async fn a_query_beyond_memory_fails_alone() {
    let (engine, _directory) = engine(4 << 20);
    let numbers = "SELECT * FROM (SELECT 1) a CROSS JOIN UNNEST(sequence(1, 10000)) AS t(x)";
    let huge = format!(
        "SELECT array_agg(a.x || b.x || c.x) FROM (SELECT cast(x AS varchar) AS x FROM ({numbers})) a, \
         (SELECT cast(x AS varchar) AS x FROM ({numbers})) b, (SELECT cast(x AS varchar) AS x FROM ({numbers})) c"
    );
    let result = run(&engine, &Statement::parse(&huge).unwrap(), &[]).await;
    assert!(matches!(result, Err(Failure::Run(RunError::Exhausted))), "{result:?}");
    let small = run(&engine, &Statement::parse("SELECT 1").unwrap(), &[]).await.unwrap();
    assert_eq!(small.rows.len(), 1);
}

/// Bytes that the process has in memory, and the most it had since the last call.
#[cfg(target_os = "linux")]
fn memory() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bytes = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    };
    let found = (bytes("VmRSS:"), bytes("VmHWM:"));
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    found
}

/// Values that grow out of short text: each query fails in words of Lake's, soon, and the process stays small.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn values_that_grow_without_end_fail_the_query_and_nothing_else() {
    let million = "rpad('x', 1000000, 'y')";
    let thousand = "UNNEST(sequence(1, 1000)) AS n(i)";
    let doubling = |start: &str, next: &str, times: usize| {
        let next = |n: usize| format!(", a{n} AS (SELECT {} AS x FROM a{})", next, n - 1);
        format!(
            "WITH a0 AS (SELECT {start} AS x){} SELECT length(x) FROM a{times}",
            (1..=times).map(next).collect::<String>()
        )
    };
    let many = |column: &str, times: usize| {
        let column = |n: usize| format!("{} AS c{n}", column.replace("{n}", &n.to_string()));
        (0..times).map(column).collect::<Vec<_>>().join(", ")
    };
    let exhausted = [
        "SELECT length(rpad('x', 2000000000, 'y'))".to_owned(),
        "SELECT length(lpad('x', 2000000000, 'yz'))".to_owned(),
        format!("SELECT length(replace({million}, 'y', {million}))"),
        format!("SELECT length(regexp_replace({million}, 'y', {million}))"),
        format!("SELECT length(regexp_replace({million}, '(y)', rpad('$1', 2000, '$1')))"),
        format!("SELECT length(array_join(repeat({million}, 10000), ','))"),
        "SELECT cardinality(repeat(repeat(repeat('x', 10000), 10000), 10000))".to_owned(),
        format!("SELECT cardinality(repeat({million}, 10000))"),
        "SELECT cardinality(flatten(transform(sequence(1, 10000), x -> sequence(1, 10000))))".to_owned(),
        format!("SELECT cardinality(transform(sequence(1, 10000), x -> {million}))"),
        format!("SELECT cardinality(transform(sequence(1, 10000), x -> concat(v, 'x'))) FROM (SELECT {million} AS v)"),
        "SELECT cardinality(transform(sequence(1, 10000), a -> transform(sequence(1, 10000), b -> \
            transform(sequence(1, 10000), c -> a + b + c))))"
            .to_owned(),
        "SELECT reduce(sequence(1, 10000), 'x', (s, x) -> s || s, s -> length(s))".to_owned(),
        doubling("rpad('x', 1000, 'y')", "x || x", 12),
        doubling("rpad('x', 1000, 'y')", "concat(x, x, x)", 8),
        doubling("sequence(1, 10000)", "concat(x, x)", 12).replace("length(x)", "cardinality(x)"),
        // Rows beside a large value, and large values in many columns.
        format!("SELECT max(v) FROM (SELECT {million} AS v) CROSS JOIN UNNEST(sequence(1, 10000)) AS t(i)"),
        format!("SELECT {} FROM {thousand}", many("sequence(i + {n}, i + {n} + 9999)", 60)),
        format!("SELECT {} FROM (SELECT {million} AS v)", many("repeat(v, 100 + {n})", 60)),
        // Groups and windows over far too many rows.
        format!(
            "SELECT length(listagg(v, ',')) FROM (SELECT rpad('x', 1000, 'y') AS v FROM {thousand}, UNNEST(sequence(1, 10000)) AS m(j))"
        ),
        format!(
            "SELECT cardinality(array_agg(v)) FROM (SELECT rpad(cast(j AS varchar), 1000, 'y') AS v FROM {thousand}, UNNEST(sequence(1, 10000)) AS m(j))"
        ),
        format!(
            "SELECT max(c) FROM (SELECT count(*) OVER () AS c FROM {thousand}, UNNEST(sequence(1, 10000)) AS m(j), UNNEST(sequence(1, 10000)) AS o(k))"
        ),
    ];
    let failed = [
        ("SELECT sequence(1, 1000000000)".to_owned(), "at most 10000"),
        ("SELECT repeat('x', 1000000000)".to_owned(), "from 0 to 10000"),
        (format!("SELECT levenshtein_distance({million}, reverse({million}))"), "pairs of characters"),
        ("SELECT regexp_like('x', '(x{1000}){1000}')".to_owned(), "too large"),
        ("SELECT regexp_like('x', rpad('x', 1000000, 'y?'))".to_owned(), "too large"),
    ];
    let failed = failed.iter().map(|(sql, message)| (sql, Some(*message)));
    let (engine, _directory) = engine(256 << 20);
    for (sql, message) in exhausted.iter().map(|sql| (sql, None)).chain(failed) {
        let (before, _) = memory();
        let result = run(&engine, &Statement::parse(sql).unwrap(), &[]).await;
        match (&result, message) {
            (Err(Failure::Run(RunError::Exhausted)), None) => {}
            (Err(error @ (Failure::Run(RunError::Failed(_)) | Failure::Statement(_))), Some(message)) => {
                assert!(error.to_string().contains(message), "{sql}: {error}");
            }
            (Err(error), _) => panic!("{sql}: {error:?}"),
            (Ok(table), _) => panic!("{sql}: {} rows", table.rows.len()),
        }
        let grown = memory().1.saturating_sub(before);
        assert!(grown < 2 << 30, "{sql}: {} MiB", grown >> 20);
    }
    let small = run(&engine, &Statement::parse("SELECT rpad('x', 3, 'y')").unwrap(), &[]).await.unwrap();
    assert_eq!(small.rows, [[Some("xyy".to_owned())]]);
}

#[test]
fn calls_that_grow_are_counted() {
    let calls = |times: usize| format!("SELECT {}", vec!["rpad('x', 9, 'y')"; times].join(", "));
    assert!(Statement::parse(&calls(64)).is_ok());
    assert!(refusal(&calls(65)).contains("more than 64 times"));
}

/// Records are taken before queries compute: the threads of queries are of low priority.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn query_threads_yield_to_all_others() {
    query("SELECT 1", &[]).await.unwrap();
    let mut niceness = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        if stat.contains("(sql-query)") {
            // The 19th field, of which two stand before the parenthesis.
            let fields = stat.rsplit(')').next().unwrap().split_whitespace().collect::<Vec<_>>();
            niceness.push(fields[16].to_owned());
        }
    }
    assert!(!niceness.is_empty());
    assert!(niceness.iter().all(|nice| nice == "10"), "{niceness:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,80}") {
        _ = Statement::parse(&text);
    }

    #[test]
    fn any_words_are_taken_or_refused(words in proptest::collection::vec(proptest::sample::select(vec![
        "SELECT", "FROM", "WHERE", "eds", STORE, "(", ")", ",", "*", "'a'", "1", "count", "x", "->", ".", "[",
         "]", "AND", "OR",
        "NOT", "CASE", "WHEN", "THEN", "END", "CAST", "AS", "map", "varchar", "UNNEST", "JOIN", "ON", "GROUP \
            BY", "ORDER BY",
        "LIMIT", "UNION", "WITH", "=", "<", "||", "-", "+", "NULL", "IN", "BETWEEN", "LIKE", "OVER",
         "INTERVAL", "DAY", "\"", "'", "--", "/*", ";",
    ]), 0..40)) {
        let text = words.join(" ");
        if let Ok(statement) = Statement::parse(&text) {
            let tables = std::collections::BTreeMap::new();
            _ = shared().plan(&statement, tables, crate::support::now());
        }
    }
}
