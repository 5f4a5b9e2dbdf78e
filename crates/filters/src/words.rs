//! Patterns of words, which messages of any form are searched for. (User Guide, "Match terms in unstructured log
//! events".)

use memchr::memmem::Finder;
use regex::Regex;

use crate::cursor::Cursor;
use crate::error::{PatternError, Problem};
use crate::value::Counts;

/// Terms, each to be found anywhere in the message, within other words too.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    all: Vec<Term>,
    /// Of these one is enough. Empty where there are terms of another kind.
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Clone, Debug)]
enum Term {
    Text(Box<Finder<'static>>),
    Regex(Regex),
}

impl Words {
    /// Reads terms up to the end.
    ///
    /// A `?term` beside terms of another kind is checked and otherwise ignored, as the guide says.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let mut words = Self { all: Vec::new(), any: Vec::new(), none: Vec::new() };
        let mut counts = Counts::default();
        loop {
            cursor.skip_blanks();
            let at = cursor.at();
            let (kind, prefix) = match cursor.peek() {
                None => break,
                Some('?') => (&mut words.any, cursor.next()),
                Some('-') => (&mut words.none, cursor.next()),
                Some(_) => (&mut words.all, None),
            };
            if prefix == Some('-') {
                // The guide has once written `"ERROR" - "Exiting"`.
                cursor.skip_blanks();
            }
            match (Term::parse(cursor, &mut counts)?, prefix) {
                (Some(term), _) => kind.push(term),
                (None, Some(prefix)) => return Err(cursor.error_at(at, Problem::NoTerm { prefix })),
                // A phrase of blanks, as in `" "`, asks for nothing.
                (None, None) => {}
            }
        }
        if !(words.all.is_empty() && words.none.is_empty()) {
            words.any.clear();
        }
        Ok(words)
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        let hits = |term: &Term| term.hits(message);
        self.all.iter().all(hits) && !self.none.iter().any(hits) && (self.any.is_empty() || self.any.iter().any(hits))
    }
}

impl Term {
    /// `None` when there is no term, or one of blanks.
    fn parse(cursor: &mut Cursor<'_>, counts: &mut Counts) -> Result<Option<Self>, PatternError> {
        if cursor.eat("%") {
            return counts.regex(cursor).map(|regex| Some(Self::Regex(regex)));
        }
        let text = if cursor.eat("\"") {
            cursor.quoted()?
        } else {
            let text = cursor.eat_while(|next| next.is_alphanumeric() || next == '_');
            match cursor.peek() {
                Some(found) if !found.is_ascii_whitespace() => return Err(cursor.error(Problem::Term { found })),
                _ => text.to_owned(),
            }
        };
        let blank = text.trim().is_empty();
        Ok((!blank).then(|| Self::Text(Box::new(Finder::new(&text).into_owned()))))
    }

    fn hits(&self, message: &str) -> bool {
        match self {
            Self::Text(finder) => finder.find(message.as_bytes()).is_some(),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}
