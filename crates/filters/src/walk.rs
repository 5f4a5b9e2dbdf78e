//! JSON is walked from its first byte to its last, and a visitor is told what is met on the way.
//!
//! The walk keeps its own stack, allocates nothing else, and checks the whole text, wanted or not: whether a text is JSON
//! must not depend on who asks. Texts nested deeper than [`MAX_DEPTH`] are taken for no JSON.

use std::ops::Range;

use crate::text::{escape, plain};

/// How many objects and arrays may lie in one another, as other parsers have it.
pub const MAX_DEPTH: usize = 128;

/// Is told of what a walk meets, in the order of the text.
///
/// Each value is announced by [`Visitor::property`] or [`Visitor::element`], but for the outermost; then comes
/// [`Visitor::atom`] or [`Visitor::open`]; when it has ended, [`Visitor::leave`].
pub trait Visitor {
    /// A property of the object that the walk is in: its name, as it is spelled between its quotes.
    fn property(&mut self, name: &str, spelling: Spelling);

    /// An element of the array that the walk is in: its number, from 0.
    fn element(&mut self, index: u32);

    /// A string (the range is what lies between its quotes), a number or a word.
    fn atom(&mut self, atom: Atom, range: Range<usize>);

    /// An object or an array begins at a byte.
    fn open(&mut self, container: Container, at: usize);

    /// There is something in the object or array that was just opened.
    fn enter(&mut self) {}

    /// The last value of the object or array that was entered last has ended.
    fn exit(&mut self) {}

    /// The value has ended: the byte after it.
    fn leave(&mut self, _end: usize) {}
}

/// Whether a string is spelled as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// It is.
    Plain,
    /// There are escapes in it, each of them whole: [`crate::unescape`] spells it out.
    Escaped,
}

/// A value that has no others in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atom {
    /// A string.
    Text(Spelling),
    /// A number, as JSON spells numbers.
    Number,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`.
    Null,
}

/// A value that may have others in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// An object.
    Object,
    /// An array.
    Array,
}

impl Container {
    fn close(self) -> u8 {
        match self {
            Self::Object => b'}',
            Self::Array => b']',
        }
    }
}

/// Walks texts. It is kept from one to the next for its memory.
#[derive(Clone, Debug, Default)]
pub struct Walker {
    /// Those that the walk is in, each with the number of the element that it is at.
    containers: Vec<(Container, u32)>,
}

impl Walker {
    /// Walks a text that is one JSON object.
    ///
    /// # Errors
    /// The byte at which the text turned out to be none. What was met before has been told to the visitor.
    pub fn walk(&mut self, text: &str, visitor: &mut impl Visitor) -> Result<(), usize> {
        self.start(text, visitor, |walk| (walk.peek()? == b'{').then_some(()))
    }

    /// Walks a text that is one value of any kind.
    ///
    /// # Errors
    /// The byte at which the text turned out to be none. What was met before has been told to the visitor.
    pub fn walk_value(&mut self, text: &str, visitor: &mut impl Visitor) -> Result<(), usize> {
        self.start(text, visitor, |_| Some(()))
    }

    fn start<V: Visitor>(
        &mut self,
        text: &str,
        visitor: &mut V,
        check: impl FnOnce(&Walk<'_, V>) -> Option<()>,
    ) -> Result<(), usize> {
        self.containers.clear();
        let mut walk = Walk { text, at: 0, containers: &mut self.containers, visitor };
        walk.skip_blanks();
        check(&walk).and_then(|()| walk.walk()).ok_or(walk.at)
    }
}

/// A walk through a text. `None` from any of its steps says that the text is no JSON.
struct Walk<'w, V> {
    text: &'w str,
    at: usize,
    containers: &'w mut Vec<(Container, u32)>,
    visitor: &'w mut V,
}

impl<V: Visitor> Walk<'_, V> {
    /// From the first byte of the outermost value on.
    fn walk(&mut self) -> Option<()> {
        loop {
            if self.value()? {
                continue;
            }
            // A value has ended, and perhaps what it is in.
            loop {
                self.visitor.leave(self.at);
                self.skip_blanks();
                let Some((container, index)) = self.containers.last_mut() else {
                    return (self.at == self.text.len()).then_some(());
                };
                match self.text.as_bytes().get(self.at)? {
                    b',' => {
                        *index = index.saturating_add(1);
                        self.at += 1;
                        self.skip_blanks();
                        self.announce()?;
                        break;
                    }
                    byte if *byte == container.close() => {
                        self.at += 1;
                        self.containers.pop();
                        self.visitor.exit();
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
                let (end, spelling) = self.string()?;
                self.visitor.atom(Atom::Text(spelling), start + 1..end);
            }
            b'{' => return self.open(Container::Object),
            b'[' => return self.open(Container::Array),
            b't' => self.word("true", Atom::True)?,
            b'f' => self.word("false", Atom::False)?,
            b'n' => self.word("null", Atom::Null)?,
            _ => {
                self.number()?;
                self.visitor.atom(Atom::Number, start..self.at);
            }
        }
        Some(false)
    }

    /// Goes into an object or an array. False if there is nothing in it.
    fn open(&mut self, container: Container) -> Option<bool> {
        if self.containers.len() == MAX_DEPTH {
            return None;
        }
        self.visitor.open(container, self.at);
        self.at += 1;
        self.skip_blanks();
        if self.peek()? == container.close() {
            self.at += 1;
            return Some(false);
        }
        self.containers.push((container, 0));
        self.visitor.enter();
        self.announce()?;
        Some(true)
    }

    /// Goes to a value in an object, reading its name, or in an array.
    fn announce(&mut self) -> Option<()> {
        let (container, index) = *self.containers.last()?;
        if container == Container::Array {
            self.visitor.element(index);
            return Some(());
        }
        let name = self.at + 1;
        if self.peek()? != b'"' {
            return None;
        }
        let (name_end, spelling) = self.string()?;
        self.visitor.property(&self.text[name..name_end], spelling);
        self.skip_blanks();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.skip_blanks();
        Some(())
    }

    /// Reads a string: where its closing quote is, and whether there are escapes in it.
    fn string(&mut self) -> Option<(usize, Spelling)> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        let mut spelling = Spelling::Plain;
        loop {
            self.at += plain(&bytes[self.at..]);
            match bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    spelling = Spelling::Escaped;
                    self.at += escape(&bytes[self.at..])?;
                }
                _ => return None,
            }
        }
        self.at += 1;
        Some((self.at - 1, spelling))
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
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        (length > 0).then_some(())
    }

    fn word(&mut self, word: &str, atom: Atom) -> Option<()> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return None;
        }
        let start = self.at;
        self.at += word.len();
        self.visitor.atom(atom, start..self.at);
        Some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }
}
