//! Results as CSV, in the form of the files that CloudTrail delivers.

use opentrail_model::Timestamp;

use crate::Row;

/// The first line: when the query ran and what it asked, on one line whatever the statement's.
pub(crate) fn comment(at: Timestamp, statement: &str) -> String {
    let statement = statement.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    let statement = statement.collect::<Vec<_>>().join(" ");
    format!("# Execution Time: {} Query Statement: {statement}\r\n", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

/// The headings' line.
pub(crate) fn headings(columns: &[String]) -> String {
    line(columns.iter().map(String::as_str))
}

/// A row's line; NULL is an empty field.
pub(crate) fn row(row: &Row) -> String {
    line(row.iter().map(|value| value.as_deref().unwrap_or_default()))
}

fn line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (number, field) in fields.enumerate() {
        if number > 0 {
            line.push(',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            line.push('"');
            line.push_str(&field.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(field);
        }
    }
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_need_it_are_quoted() {
        let values = ["plain", "a b", "a,b", "say \"hi\"", "two\nlines", ""];
        let values: Row = values.into_iter().map(|value| Some(value.to_owned())).chain([None]).collect();
        assert_eq!(row(&values), "plain,a b,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",,\r\n");
    }

    #[test]
    fn the_comment_is_one_line() {
        let at = Timestamp::from_millis(1_700_000_000_123);
        let text = comment(at, "SELECT a -- what\n\r\n  FROM b\n");
        assert_eq!(text, "# Execution Time: 2023-11-14T22:13:20.123000Z Query Statement: SELECT a -- what FROM b\r\n");
    }
}
