//! Where the reading of a pattern is.

use crate::error::{PatternError, Problem};

/// A place in a pattern, from which it is read on.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'p> {
    pattern: &'p str,
    /// In bytes.
    at: usize,
}

impl<'p> Cursor<'p> {
    pub(crate) fn new(pattern: &'p str) -> Self {
        Self { pattern, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What lies between an earlier place and this one.
    pub(crate) fn since(&self, earlier: usize) -> &'p str {
        &self.pattern[earlier..self.at]
    }

    /// What is not yet read.
    pub(crate) fn rest(&self) -> &'p str {
        &self.pattern[self.at..]
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Reads the text, if it is what comes next.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let comes = self.rest().starts_with(text);
        if comes {
            self.at += text.len();
        }
        comes
    }

    pub(crate) fn eat_while(&mut self, mut wanted: impl FnMut(char) -> bool) -> &'p str {
        let rest = self.rest();
        let length = rest.find(|next| !wanted(next)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Reads blanks: spaces, tabs, line ends.
    pub(crate) fn skip_blanks(&mut self) {
        self.eat_while(|next| next.is_ascii_whitespace());
    }

    /// Reads what stands between two quotes, of which the first is read. A backslash before a quote or a backslash
    /// means the character itself.
    pub(crate) fn quoted(&mut self) -> Result<String, PatternError> {
        let open = self.at - 1;
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') if matches!(self.peek(), Some('"' | '\\')) => text.extend(self.next()),
                Some(other) => text.push(other),
                None => return Err(self.error_at(open, Problem::Unclosed { open: '"', close: '"' })),
            }
        }
    }

    /// Whether everything is read.
    pub(crate) fn finish(&self) -> Result<(), PatternError> {
        match self.peek() {
            Some(found) => Err(self.error(Problem::Surplus { found })),
            None => Ok(()),
        }
    }

    pub(crate) fn error(&self, problem: Problem) -> PatternError {
        self.error_at(self.at, problem)
    }

    pub(crate) fn error_at(&self, at: usize, problem: Problem) -> PatternError {
        PatternError { at: self.pattern[..at].chars().count() + 1, problem }
    }
}

/// Whether the names of properties and fields have the character.
pub(crate) fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}
