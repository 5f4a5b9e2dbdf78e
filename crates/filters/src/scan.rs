//! A message is walked once, and the values at the wanted paths are taken.

use std::ops::Range;

use crate::found::{Found, Kind};
use crate::paths::{Paths, Place};
use crate::text::unescape;
use crate::walk::{Atom, Container, Spelling, Visitor, Walker};

/// Scans messages. It is kept from one to the next for its memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scanner {
    walker: Walker,
    state: State,
}

#[derive(Clone, Debug, Default)]
struct State {
    found: Found,
    /// Those that the walk is in.
    containers: Vec<Places>,
    /// The places of the containers, and of the value that the walk is at, in this order.
    places: Vec<Place>,
    /// Where the property of each place was met last.
    met: Vec<Met>,
    /// How many containers have been entered, ever.
    entered: u64,
}

/// An object or an array: its number, and its places within those of the state.
#[derive(Clone, Copy, Debug)]
struct Places {
    number: u64,
    start: usize,
    end: usize,
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
        let Self { walker, state } = self;
        state.found.clear(paths.slots());
        state.containers.clear();
        state.places.clear();
        state.places.push(Paths::ROOT);
        state.met.resize(paths.places().max(state.met.len()), Met::default());
        walker.walk(message, &mut Visit { message, paths, state }).ok()?;
        Some(&self.state.found)
    }
}

impl State {
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

/// Goes along the paths.
struct Visit<'v> {
    message: &'v str,
    paths: &'v Paths,
    state: &'v mut State,
}

impl Visit<'_> {
    /// Keeps a value for the paths that end here.
    fn take(&mut self, kind: Kind, range: Range<usize>) {
        let state = &mut *self.state;
        for place in state.around()..state.places.len() {
            if let Some(slot) = self.paths.slot(state.places[place]) {
                state.found.keep(slot, kind, range.clone());
            }
        }
    }
}

impl Visitor for Visit<'_> {
    fn property(&mut self, name: &str, spelling: Spelling) {
        let Some(Places { number, start, end }) = self.state.containers.last().copied() else { return };
        if start == end {
            return;
        }
        let spelled = self.state.found.spelled.len();
        if spelling == Spelling::Escaped {
            unescape(name, &mut self.state.found.spelled);
        }
        for place in start..end {
            let state = &mut *self.state;
            let name = if spelling == Spelling::Escaped { &state.found.spelled[spelled..] } else { name };
            let (named, any) = self.paths.property(state.places[place], name);
            if let Some(named) = named {
                state.meet(named, number);
                state.places.push(named);
            }
            state.places.extend(any);
        }
        self.state.found.spelled.truncate(spelled);
    }

    fn element(&mut self, index: u32) {
        let Some(Places { start, end, .. }) = self.state.containers.last().copied() else { return };
        for place in start..end {
            let (indexed, any) = self.paths.element(self.state.places[place], index);
            self.state.places.extend(indexed);
            self.state.places.extend(any);
        }
    }

    fn atom(&mut self, atom: Atom, range: Range<usize>) {
        let wanted = self.state.around() < self.state.places.len();
        if !wanted {
            return;
        }
        match atom {
            Atom::Text(Spelling::Plain) | Atom::Number => self.take(Kind::Text, range),
            Atom::Text(Spelling::Escaped) => {
                let spelled = self.state.found.spelled.len();
                unescape(&self.message[range], &mut self.state.found.spelled);
                self.take(Kind::Spelled, spelled..self.state.found.spelled.len());
            }
            Atom::True => self.take(Kind::True, range),
            Atom::False => self.take(Kind::False, range),
            Atom::Null => self.take(Kind::Null, range),
        }
    }

    fn open(&mut self, _container: Container, at: usize) {
        self.take(Kind::Container, at..at);
    }

    fn enter(&mut self) {
        let state = &mut *self.state;
        state.entered += 1;
        let (start, end) = (state.around(), state.places.len());
        state.containers.push(Places { number: state.entered, start, end });
    }

    fn exit(&mut self) {
        self.state.containers.pop();
    }

    fn leave(&mut self, _end: usize) {
        let state = &mut *self.state;
        let around = state.around();
        for place in state.places.drain(around..) {
            state.met[place as usize].end = state.found.len();
        }
    }
}

#[cfg(test)]
mod tests;
