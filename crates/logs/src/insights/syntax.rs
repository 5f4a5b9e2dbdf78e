//! The words of a query: what stands next, as the parser asks for it. Whether `/` begins a regular expression or divides,
//! only the parser knows.

use crate::error::LogsError;

/// A text that is read from left to right.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'q> {
    text: &'q str,
    at: usize,
}

impl<'q> Cursor<'q> {
    pub(super) fn new(text: &'q str) -> Self {
        Self { text, at: 0 }
    }

    /// Where it stands, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What was read since `from`, without the blanks around it.
    pub(super) fn since(&self, from: usize) -> &'q str {
        self.text.get(from..self.at).unwrap_or_default().trim()
    }

    /// An error at this place.
    pub(super) fn error(&self, problem: impl std::fmt::Display) -> LogsError {
        let before = self.text.get(..self.at).unwrap_or_default().chars().count();
        LogsError::MalformedQuery(format!("{problem} (at character {})", before + 1))
    }

    fn rest(&self) -> &'q str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips blanks and comments, which go from `#` to the line's end.
    pub(super) fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = rest.len() - rest.trim_start().len();
            self.at += blanks;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip();
        self.rest().chars().next()
    }

    pub(super) fn is_done(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Takes the mark if it stands next.
    pub(super) fn eat(&mut self, mark: &str) -> bool {
        self.skip();
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    /// Requires the mark.
    pub(super) fn expect(&mut self, mark: &str) -> Result<(), LogsError> {
        if self.eat(mark) { Ok(()) } else { Err(self.error(format_args!("{mark:?} is missing"))) }
    }

    /// Takes the word, whatever its case, if it stands next as a whole.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        self.skip();
        let Some(found) = self.rest().get(..word.len()) else { return false };
        let ends = self.rest()[word.len()..].chars().next().is_none_or(|c| !is_name(c));
        let found = found.eq_ignore_ascii_case(word) && ends;
        if found {
            self.at += word.len();
        }
        found
    }

    /// A name: letters, digits, `_`, `@` and `.`, or anything between backticks.
    pub(super) fn name(&mut self) -> Result<Option<String>, LogsError> {
        self.skip();
        if self.rest().starts_with('`') {
            let Some(end) = self.rest()[1..].find('`') else { return Err(self.error("nothing closes the ` here")) };
            let name = self.rest()[1..=end].to_owned();
            self.at += end + 2;
            return Ok(Some(name));
        }
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@') {
            return Ok(None);
        }
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        self.at += end;
        Ok(Some(rest[..end].to_owned()))
    }

    pub(super) fn require_name(&mut self) -> Result<String, LogsError> {
        self.name()?.ok_or_else(|| self.error("a name is missing"))
    }

    /// A number without sign.
    pub(super) fn number(&mut self) -> Option<f64> {
        self.skip();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest[..end].parse().ok()?;
        self.at += end;
        Some(number)
    }

    /// A text in double or single quotes, in which a backslash makes the next character itself.
    pub(super) fn text(&mut self) -> Result<Option<String>, LogsError> {
        self.skip();
        let quote = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => quote,
            _ => return Ok(None),
        };
        let (mut text, mut escaped) = (String::new(), false);
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => {
                    text.push(match c {
                        'n' => '\n',
                        't' => '\t',
                        c => c,
                    });
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == quote => {
                    self.at += at + 1;
                    return Ok(Some(text));
                }
                c => text.push(c),
            }
        }
        Err(self.error(format_args!("nothing closes the {quote} here")))
    }

    /// A regular expression between `/` and `/`, in which `\/` is a `/`.
    pub(super) fn regex(&mut self) -> Result<Option<String>, LogsError> {
        if !self.eat("/") {
            return Ok(None);
        }
        let (mut pattern, mut escaped) = (String::new(), false);
        for (at, c) in self.rest().char_indices() {
            match c {
                '/' if !escaped => {
                    self.at += at + 1;
                    return Ok(Some(pattern));
                }
                '\\' if !escaped => escaped = true,
                c => {
                    if escaped && c != '/' {
                        pattern.push('\\');
                    }
                    pattern.push(c);
                    escaped = false;
                }
            }
        }
        Err(self.error("nothing closes the regular expression; end it with /"))
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '.')
}
