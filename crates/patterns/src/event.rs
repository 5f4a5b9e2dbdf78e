//! An event, and how the values at the wanted paths are found in it.

use std::ops::Range;

use opentrail_filters::unescape;
use opentrail_filters::walk::{Atom, Container, Spelling, Visitor, Walker};

use crate::found::{Element, Found, Kind, OUTSIDE};
use crate::paths::{Paths, Place};

/// An event of EventBridge.
///
/// The JSON has to be one object in UTF-8, in which at most 128 objects and arrays lie in one another; what is not matches
/// nothing. Of a name that occurs twice in an object both values count, as for Event Ruler.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// The JSON of the event, as `TestEventPattern` and targets have it: an object with `source`, `detail-type`, `detail`
    /// and so on. Nothing is required of it.
    Whole(&'e [u8]),
    /// The event's parts. That spares building its JSON for a record of CloudTrail.
    Enveloped {
        /// `id`
        id: &'e str,
        /// `detail-type`, such as `AWS API Call via CloudTrail`.
        detail_type: &'e str,
        /// `source`, such as `aws.ec2`.
        source: &'e str,
        /// `account`
        account: &'e str,
        /// `time`, such as `2026-01-02T03:04:05Z`.
        time: &'e str,
        /// `region`
        region: &'e str,
        /// `resources`: ARNs.
        resources: &'e [&'e str],
        /// The JSON of `detail`: the record. `version` is `0`.
        detail: &'e [u8],
    },
}

impl<'e> Event<'e> {
    /// The JSON that values are found in. `None` if it is not UTF-8.
    fn text(&self) -> Option<&'e str> {
        let (Self::Whole(bytes) | Self::Enveloped { detail: bytes, .. }) = self;
        std::str::from_utf8(bytes).ok()
    }
}

/// What was found in an event, and the text of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'e> {
    pub(crate) found: &'e Found,
    pub(crate) text: &'e str,
}

/// Scans events. It is kept from one to the next for its memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scanner {
    walker: Walker,
    found: Found,
    levels: Vec<Level>,
}

/// An object or an array that the walk is in.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Where the paths are, if any lead here. The elements of an array are where the array is.
    place: Option<Place>,
    /// The number of the array.
    array: Option<u32>,
    /// That all of it lies in.
    element: Element,
}

impl Scanner {
    /// What there is in an event at the paths. `None` if it is no event.
    pub(crate) fn scan<'s>(&'s mut self, paths: &Paths, event: &Event<'s>) -> Option<Seen<'s>> {
        let Self { walker, found, levels } = self;
        found.clear(paths.slots());
        levels.clear();
        let text = event.text()?;
        let place = match event {
            Event::Whole(_) => Some(Paths::ROOT),
            Event::Enveloped { .. } => {
                keep_envelope(paths, event, found);
                paths.step(Paths::ROOT, "detail")
            }
        };
        let opened = Container::Object;
        walker.walk(text, &mut Visit { text, paths, found, levels, place, opened }).ok()?;
        Some(Seen { found, text })
    }
}

/// What is wanted of what lies around the record.
fn keep_envelope(paths: &Paths, event: &Event<'_>, found: &mut Found) {
    let Event::Enveloped { id, detail_type, source, account, time, region, resources, .. } = *event else { return };
    let named: [(&str, &[&str]); 8] = [
        ("version", &["0"]),
        ("id", &[id]),
        ("detail-type", &[detail_type]),
        ("source", &[source]),
        ("account", &[account]),
        ("time", &[time]),
        ("region", &[region]),
        ("resources", resources),
    ];
    for (name, values) in named {
        if let Some(slot) = paths.step(Paths::ROOT, name).and_then(|place| paths.slot(place)) {
            values.iter().for_each(|value| found.keep_text(slot, value));
        }
    }
}

/// Goes along the paths. Arrays are no steps: what is in their elements is where they are.
struct Visit<'v> {
    text: &'v str,
    paths: &'v Paths,
    found: &'v mut Found,
    levels: &'v mut Vec<Level>,
    /// Of the value that the walk is at.
    place: Option<Place>,
    /// What was opened last.
    opened: Container,
}

impl Visitor for Visit<'_> {
    fn property(&mut self, name: &str, spelling: Spelling) {
        self.place = self.levels.last().and_then(|level| level.place).and_then(|place| match spelling {
            Spelling::Plain => self.paths.step(place, name),
            Spelling::Escaped => {
                let spelled = &mut self.found.spelled;
                let start = spelled.len();
                unescape(name, spelled);
                let step = self.paths.step(place, &spelled[start..]);
                spelled.truncate(start);
                step
            }
        });
    }

    fn element(&mut self, _index: u32) {
        self.place = self.levels.last().and_then(|level| level.place);
    }

    fn atom(&mut self, atom: Atom, range: Range<usize>) {
        let Some(slot) = self.place.and_then(|place| self.paths.slot(place)) else { return };
        let kind = match atom {
            Atom::Text(Spelling::Plain) => Kind::Text,
            Atom::Text(Spelling::Escaped) => Kind::Spelled,
            Atom::Number => Kind::Number,
            Atom::True => Kind::True,
            Atom::False => Kind::False,
            Atom::Null => Kind::Null,
        };
        let range = if kind == Kind::Spelled {
            let start = self.found.spelled.len();
            unescape(&self.text[range], &mut self.found.spelled);
            start..self.found.spelled.len()
        } else {
            range
        };
        let element = self.levels.last().map_or(OUTSIDE, |level| level.element);
        self.found.keep(slot, kind, range, element);
    }

    fn open(&mut self, container: Container, _at: usize) {
        self.opened = container;
    }

    fn enter(&mut self) {
        let place = self.place;
        let mut level = Level { place, array: None, element: OUTSIDE };
        if place.is_some() {
            level.element = match self.levels.last() {
                Some(Level { array: Some(array), element, .. }) => self.found.begin_element(*array, *element),
                Some(Level { element, .. }) => *element,
                None => OUTSIDE,
            };
            level.array = (self.opened == Container::Array).then(|| self.found.begin_array());
        }
        self.levels.push(level);
    }

    fn exit(&mut self) {
        if let Some(Level { array: Some(array), .. }) = self.levels.pop() {
            self.found.end_array(array);
        }
    }
}
