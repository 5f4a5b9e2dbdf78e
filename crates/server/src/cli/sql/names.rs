//! The names of event data stores in a statement.

use std::ops::Range;

use uuid::Uuid;

/// What a statement has behind FROM, JOIN or a comma between relations: a store, or a query of its own WITH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreName {
    /// Without quotes.
    pub(super) text: String,
    /// The store's id, where that is known.
    pub(super) id: Option<String>,
    pub(super) place: Range<usize>,
}

/// What ends the list of relations behind FROM.
const BEHIND_RELATIONS: [&str; 11] =
    ["where", "group", "order", "having", "limit", "union", "except", "intersect", "select", "on", "using"];

/// The relations that a statement names behind FROM, JOIN and the commas between them, outside quotes and comments.
pub(super) fn stores(statement: &str) -> Vec<StoreName> {
    let mut found = Vec::new();
    // Whether a relation comes next, and whether one comes behind a comma.
    let (mut expected, mut listing) = (false, false);
    let mut rest = 0;
    while let Some(token) = next(statement, &mut rest) {
        let text = &statement[token.clone()];
        let word = text.to_ascii_lowercase();
        match &*word {
            "from" | "join" => (expected, listing) = (true, true),
            "," => expected = listing,
            // Of a function or of a query: what is behind it is no list of this one, which a parser would know better.
            "(" | ")" => (expected, listing) = (false, false),
            _ if BEHIND_RELATIONS.contains(&&*word) => (expected, listing) = (false, false),
            _ if expected && (text.starts_with('"') || text.starts_with(is_part)) => {
                let name = text.strip_prefix('"').map_or(text, |text| text.trim_end_matches('"'));
                found.push(StoreName { text: name.to_owned(), id: id_of(name), place: token });
                expected = false;
            }
            _ => expected = false,
        }
    }
    found
}

/// The statement with ids where they are known.
pub(super) fn replaced(statement: &str, names: &[StoreName]) -> String {
    let mut text = statement.to_owned();
    for name in names.iter().rev() {
        if let Some(id) = &name.id {
            text.replace_range(name.place.clone(), id);
        }
    }
    text
}

/// The id in an id or an ARN.
fn id_of(name: &str) -> Option<String> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let is_known = last == name || name.starts_with("arn:");
    (is_known && Uuid::try_parse(last).is_ok()).then(|| last.to_owned())
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/')
}

/// The next word, quoted text or sign from `at` on, which moves behind it; comments and blanks are passed over.
fn next(statement: &str, at: &mut usize) -> Option<Range<usize>> {
    loop {
        let rest = &statement[*at..];
        let blank = rest.len() - rest.trim_start().len();
        let comment = match &rest[blank..] {
            rest if rest.starts_with("--") => rest.find('\n').map_or(rest.len(), |end| end + 1),
            rest if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => 0,
        };
        *at += blank + comment;
        if comment == 0 {
            break;
        }
    }
    let rest = &statement[*at..];
    let first = rest.chars().next()?;
    let length = match first {
        '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
        c if is_part(c) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    };
    let token = *at..*at + length;
    *at = token.end;
    Some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c1e-52d4-4b7a-9a53-0d6f4b1c8e21";

    fn texts(statement: &str) -> Vec<String> {
        stores(statement).into_iter().map(|name| name.text).collect()
    }

    #[test]
    fn stores_stand_behind_from_and_join() {
        for (statement, expected) in [
            ("SELECT a FROM my-store WHERE b = 'FROM x'", vec!["my-store"]),
            ("select * from \"my store\" s join other_1 o on s.a = o.a", vec!["my store", "other_1"]),
            ("SELECT 1 FROM a, b x, \"c\" AS y, d -- FROM e", vec!["a", "b", "c", "d"]),
            ("SELECT x, y FROM a, UNNEST(b, c) WHERE f(x, y) GROUP BY x, y", vec!["a", "UNNEST"]),
            ("SELECT 1 FROM a JOIN b ON f(a, c) = 1 ORDER BY x, y", vec!["a", "b"]),
            ("SELECT 1 /* FROM a */ FROM (SELECT 2 FROM b)", vec!["b"]),
            ("SELECT 'it''s FROM a' FROM b", vec!["b"]),
            ("SELECT 1 FROM a FROM", vec!["a"]),
            ("SELECT 'open FROM a", vec![]),
            ("SELECT 'ä' FROM ä", vec![]),
        ] {
            assert_eq!(texts(statement), expected, "{statement}");
        }
    }

    #[test]
    fn ids_and_arns_are_known_and_replaced() {
        let statement =
            format!("SELECT 1 FROM arn:aws:cloudtrail:us-east-1:111122223333:eventdatastore/{ID} a JOIN named b");
        let mut names = stores(&statement);
        assert_eq!((names[0].id.as_deref(), names[1].id.as_deref()), (Some(ID), None));
        assert_eq!(replaced(&statement, &names), format!("SELECT 1 FROM {ID} a JOIN named b"));
        names[1].id = Some("x".to_owned());
        assert_eq!(replaced(&statement, &names), format!("SELECT 1 FROM {ID} a JOIN x b"));
    }
}
