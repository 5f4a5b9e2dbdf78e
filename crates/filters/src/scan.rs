//! A message is walked once, and the values at the wanted paths are taken.
//!
//! The walk checks the whole message, wanted or not: whether it is a JSON object must not depend on who asks. It keeps
//! its own stack, and takes messages nested deeper than [`MAX_DEPTH`] for no JSON.

use crate::found::{Found, Kind};
use crate::paths::{Paths, Place};
use crate::text::{escape, plain, unescape};

/// How many objects and arrays may lie in one another, as other parsers have it.
const MAX_DEPTH: usize = 128;

/// Walks messages. It is kept from one to the next for its memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scanner {
    found: Found,
    /// Those that the walk is in.
    containers: Vec<Container>,
    /// The places of the containers, and of the value that the walk is at, in this order.
    places: Vec<Place>,
    /// Where the property of each place was met last.
    met: Vec<Met>,
    /// How many containers have been entered, ever.
    entered: u64,
}

/// An object or an array.
#[derive(Clone, Debug)]
struct Container {
    number: u64,
    object: bool,
    /// Its places within those of the scanner.
    start: usize,
    end: usize,
    /// Of the element, in an array.
    index: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Met {
    /// The number of the object.
    container: u64,
    /// The values that were found in the property.
    start: usize,
    end: usize,
}

impl Scanner {
    /// What there is in a message at the paths. `None` if it is no JSON object.
    ///
    /// Of a name that occurs twice in an object the last value counts, as for most parsers; under a `.*` both do.
    pub(crate) fn scan(&mut self, paths: &Paths, message: &str) -> Option<&Found> {
        self.found.clear(paths.slots());
        self.containers.clear();
        self.places.clear();
        self.met.resize(paths.places().max(self.met.len()), Met::default());
        Walk { message, at: 0, paths, state: self }.walk()?;
        Some(&self.found)
    }

    /// Where the places of the container end that the walk is in, and those of the value begin.
    fn around(&self) -> usize {
        self.containers.last().map_or(0, |container| container.end)
    }

    /// Notes that a property is met. What was found in one of the same name in the same object counts no more.
    fn meet(&mut self, place: Place, container: u64) {
        let met = &mut self.met[place as usize];
        if met.container == container {
            self.found.replace(met.start..met.end);
        }
        *met = Met { container, start: self.found.len(), end: self.found.len() };
    }
}

/// A walk through a message. `None` from any of its steps says that the message is no JSON object.
struct Walk<'w> {
    message: &'w str,
    at: usize,
    paths: &'w Paths,
    state: &'w mut Scanner,
}

impl Walk<'_> {
    fn walk(&mut self) -> Option<()> {
        self.skip_blanks();
        if self.peek()? != b'{' {
            return None;
        }
        self.state.places.push(Paths::ROOT);
        loop {
            if self.value()? {
                continue;
            }
            // A value has ended, and perhaps what it is in.
            loop {
                self.leave_value();
                self.skip_blanks();
                let Some(container) = self.state.containers.last_mut() else {
                    return (self.at == self.message.len()).then_some(());
                };
                let close = if container.object { b'}' } else { b']' };
                match self.message.as_bytes().get(self.at)? {
                    b',' => {
                        container.index = container.index.saturating_add(1);
                        self.at += 1;
                        self.skip_blanks();
                        self.enter_value()?;
                        break;
                    }
                    byte if *byte == close => {
                        self.at += 1;
                        self.state.containers.pop();
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Reads a value. True if it is the beginning of an object or an array, and the walk is at the first value in it.
    fn value(&mut self) -> Option<bool> {
        let start = self.at;
        match self.peek()? {
            b'"' => {
                let (end, escapes) = self.string()?;
                self.take_string(start + 1, end, escapes);
            }
            object @ (b'{' | b'[') => {
                self.take(Kind::Container, start, start);
                return self.open(object == b'{');
            }
            b't' => self.word("true", Kind::True)?,
            b'f' => self.word("false", Kind::False)?,
            b'n' => self.word("null", Kind::Null)?,
            _ => {
                self.number()?;
                self.take(Kind::Text, start, self.at);
            }
        }
        Some(false)
    }

    /// Goes into an object or an array. False if there is nothing in it.
    fn open(&mut self, object: bool) -> Option<bool> {
        if self.state.containers.len() == MAX_DEPTH {
            return None;
        }
        self.at += 1;
        self.skip_blanks();
        if self.peek()? == if object { b'}' } else { b']' } {
            self.at += 1;
            return Some(false);
        }
        let state = &mut *self.state;
        state.entered += 1;
        let (start, end) = (state.around(), state.places.len());
        state.containers.push(Container { number: state.entered, object, start, end, index: 0 });
        self.enter_value()?;
        Some(true)
    }

    /// Goes to a value in an object, reading its name, or in an array, and along the paths.
    fn enter_value(&mut self) -> Option<()> {
        let Container { number, object, start, end, index } = *self.state.containers.last()?;
        if !object {
            for place in start..end {
                let (indexed, any) = self.paths.element(self.state.places[place], index);
                self.state.places.extend(indexed);
                self.state.places.extend(any);
            }
            return Some(());
        }
        let name = self.at + 1;
        if self.peek()? != b'"' {
            return None;
        }
        let (name_end, escapes) = self.string()?;
        if start < end {
            let spelled = self.state.found.spelled.len();
            if escapes {
                unescape(&self.message[name..name_end], &mut self.state.found.spelled);
            }
            for place in start..end {
                let state = &mut *self.state;
                let name = if escapes { &state.found.spelled[spelled..] } else { &self.message[name..name_end] };
                let (named, any) = self.paths.property(state.places[place], name);
                if let Some(named) = named {
                    state.meet(named, number);
                    state.places.push(named);
                }
                state.places.extend(any);
            }
            self.state.found.spelled.truncate(spelled);
        }
        self.skip_blanks();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.skip_blanks();
        Some(())
    }

    /// The value that the walk was at has ended.
    fn leave_value(&mut self) {
        let state = &mut *self.state;
        let around = state.around();
        for place in state.places.drain(around..) {
            state.met[place as usize].end = state.found.len();
        }
    }

    /// Reads a string: where its closing quote is, and whether there are escapes in it.
    fn string(&mut self) -> Option<(usize, bool)> {
        let bytes = self.message.as_bytes();
        self.at += 1;
        let mut escapes = false;
        loop {
            self.at += plain(&bytes[self.at..]);
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escapes = true;
                    self.at += escape(&bytes[self.at..])?;
                }
                _ => return None,
            }
        }
        self.at += 1;
        Some((self.at - 1, escapes))
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// One or more.
    fn digits(&mut self) -> Option<()> {
        let rest = &self.message.as_bytes()[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        (length > 0).then_some(())
    }

    fn word(&mut self, word: &str, kind: Kind) -> Option<()> {
        if !self.message.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return None;
        }
        self.take(kind, self.at, self.at);
        self.at += word.len();
        Some(())
    }

    fn take_string(&mut self, start: usize, end: usize, escapes: bool) {
        let wanted = self.state.around() < self.state.places.len();
        if !escapes {
            self.take(Kind::Text, start, end);
        } else if wanted {
            let spelled = self.state.found.spelled.len();
            unescape(&self.message[start..end], &mut self.state.found.spelled);
            self.take(Kind::Spelled, spelled, self.state.found.spelled.len());
        }
    }

    /// Keeps a value for the paths that end here.
    fn take(&mut self, kind: Kind, start: usize, end: usize) {
        let state = &mut *self.state;
        for place in state.around()..state.places.len() {
            if let Some(slot) = self.paths.slot(state.places[place]) {
                state.found.keep(slot, kind, start..end);
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.message.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
