//! What a PartiQL statement does and to which table. (DynamoDB Developer Guide, "PartiQL for DynamoDB statements".)

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Select,
    Insert,
    Update,
    Delete,
}

/// The verb and the table of a statement; `None` when it is not like one.
pub(crate) fn table_of(statement: &str) -> Option<(Verb, String)> {
    let mut words = Words { rest: statement };
    let mut first = words.next()?;
    // A condition of a transaction: EXISTS(SELECT …).
    while first.is("EXISTS") || first.is("(") {
        first = words.next()?;
    }
    let (verb, before) = match () {
        () if first.is("SELECT") => (Verb::Select, Some("FROM")),
        () if first.is("INSERT") => (Verb::Insert, Some("INTO")),
        () if first.is("DELETE") => (Verb::Delete, Some("FROM")),
        () if first.is("UPDATE") => (Verb::Update, None),
        () => return None,
    };
    if let Some(before) = before {
        while !words.next()?.is(before) {}
    }
    match words.next()? {
        Word::Name(name) => Some((verb, name)),
        Word::Other(_) => None,
    }
}

enum Word {
    /// In double quotes, or plain.
    Name(String),
    /// A keyword has no quotes, so that a table called "FROM" is none.
    Other(String),
}

impl Word {
    fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Other(word) if word.eq_ignore_ascii_case(keyword))
    }
}

struct Words<'a> {
    rest: &'a str,
}

const KEYWORDS: &[&str] = &["EXISTS", "SELECT", "FROM", "INSERT", "INTO", "DELETE", "UPDATE"];

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let text = self.rest.trim_start();
        let mut characters = text.chars();
        let first = characters.next()?;
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let (word, length) = match first {
            '"' | '\'' => {
                let (inner, length) = quoted(text, first)?;
                (if first == '"' { Word::Name(inner) } else { Word::Other(String::new()) }, length)
            }
            c if is_plain(c) => {
                let length = text.find(|c| !is_plain(c)).unwrap_or(text.len());
                let plain = &text[..length];
                let keyword = KEYWORDS.iter().any(|keyword| plain.eq_ignore_ascii_case(keyword));
                // An index stands behind a dot, which is part of unquoted names only there.
                let name = plain.split_once('.').map_or(plain, |(table, _)| table);
                (if keyword { Word::Other(plain.to_owned()) } else { Word::Name(name.to_owned()) }, length)
            }
            c => (Word::Other(c.to_string()), c.len_utf8()),
        };
        self.rest = &text[length..];
        Some(word)
    }
}

/// What stands between two quotes, and how long it is with them; a quote inside is doubled.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if c != quote {
            inner.push(c);
        } else if rest.next_if(|(_, next)| *next == quote).is_some() {
            inner.push(quote);
        } else {
            return Some((inner, at + quote.len_utf8()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_its_table() {
        for (statement, expected) in [
            (r#"SELECT * FROM "Music" WHERE a = 'x'"#, Some((Verb::Select, "Music"))),
            (r#"select a, 'from' , "from" from Music.Index where b=1"#, Some((Verb::Select, "Music"))),
            (r#"SELECT * FROM "Mu""sic"."By-artist""#, Some((Verb::Select, "Mu\"sic"))),
            (r#"INSERT INTO Music value {'Artist': 'it''s'}"#, Some((Verb::Insert, "Music"))),
            (r#"UPDATE "Music" SET a=1"#, Some((Verb::Update, "Music"))),
            (r#"DELETE FROM "Music""#, Some((Verb::Delete, "Music"))),
            (r#"EXISTS(SELECT * FROM "Music" WHERE a=1)"#, Some((Verb::Select, "Music"))),
            ("DROP TABLE Music", None),
            ("SELECT * FROM 'Music'", None),
            ("SELECT *", None),
            ("", None),
            ("SELECT * FROM \"Music", None),
        ] {
            let found = table_of(statement);
            assert_eq!(found.as_ref().map(|(verb, table)| (*verb, table.as_str())), expected, "{statement}");
        }
    }
}
