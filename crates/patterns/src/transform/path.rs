//! Paths into an event: `$.detail.resources[0].id`.

use std::ops::Range;

use opentrail_filters::unescape;
use opentrail_filters::walk::{Atom, Container, Spelling, Visitor, Walker};

use super::{MAX_PATH, json};

/// A JSON path of those that EventBridge supports: `$`, then `.name` or `['name']`, `[0]`, `.*` or `[*]`. Names after a dot
/// have letters, digits, `-`, `_` and `/`. (User Guide, "Amazon EventBridge input transformation"; API Reference, `Target`,
/// `InputPath`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(Box<str>),
    Index(u32),
    /// Each property, or each element.
    Any,
}

/// Why a text is no path, and the character at which, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPath {
    /// It has too many characters.
    #[error("a path has at most {MAX_PATH} characters")]
    TooLong,
    /// It does not begin with `$`.
    #[error("a path begins with $")]
    NoRoot,
    /// Something that is no step.
    #[error("at character {at} there has to be .name, ['name'], [0], .* or [*]")]
    NoStep {
        /// The character.
        at: usize,
    },
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// If it is none, or one with what EventBridge does not support, such as filters.
    pub fn parse(text: &str) -> Result<Self, NoPath> {
        if text.chars().count() > MAX_PATH {
            return Err(NoPath::TooLong);
        }
        let mut rest = text.strip_prefix('$').ok_or(NoPath::NoRoot)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text[..text.len() - rest.len()].chars().count() + 1;
            let (step, length) = step(rest).ok_or(NoPath::NoStep { at })?;
            steps.push(step);
            rest = &rest[length..];
        }
        Ok(Self { steps })
    }

    /// A property of the event.
    pub(crate) fn property(name: &str) -> Self {
        Self { steps: vec![Step::Name(name.into())] }
    }

    /// What there is at the path, as JSON without blanks: all of it as an array, if the path has a `*`. Of a name that
    /// occurs twice in an object the last one counts. `None` if the event is no JSON object; nothing inside, if it has
    /// nothing there.
    pub(crate) fn find(&self, event: &str) -> Option<Option<String>> {
        let mut search = Search { path: self, levels: Vec::new(), begun: 0, at: 0, found: Vec::new(), here: true };
        Walker::default().walk(event, &mut search).ok()?;
        let mut values = search.found.into_iter().map(|range| json::minified(&event[range]));
        Some(if self.steps.contains(&Step::Any) {
            let values: Vec<String> = values.collect();
            (!values.is_empty()).then(|| format!("[{}]", values.join(",")))
        } else {
            values.next_back()
        })
    }
}

/// The step that a text begins with, and how many bytes it has.
fn step(text: &str) -> Option<(Step, usize)> {
    if text.starts_with(".*") {
        return Some((Step::Any, 2));
    }
    if text.starts_with("[*]") {
        return Some((Step::Any, 3));
    }
    if let Some(name) = text.strip_prefix('.') {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/');
        let length = name.find(|c| !is_part(c)).unwrap_or(name.len());
        return (length > 0).then(|| (Step::Name(name[..length].into()), length + 1));
    }
    let inside = text.strip_prefix('[')?;
    if let Some(quote @ ('\'' | '"')) = inside.chars().next() {
        let name = &inside[1..];
        let length = name.find(quote)?;
        return name[length + 1..].starts_with(']').then(|| (Step::Name(name[..length].into()), length + 4));
    }
    let length = inside.find(']')?;
    let digits = &inside[..length];
    let index = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some((Step::Index(index), length + 2))
}

/// Looks for what a path leads to.
struct Search<'p> {
    path: &'p JsonPath,
    /// Of the objects and arrays that the walk is in: whether the steps so far lead to it.
    levels: Vec<bool>,
    /// Where the object or array begins that the path leads to, and that the walk is in.
    begun: usize,
    /// Where the value begins.
    at: usize,
    /// Whether the steps lead to the value that the walk is at.
    here: bool,
    /// Where what is at the path lies in the text.
    found: Vec<Range<usize>>,
}

impl Search<'_> {
    /// Whether the next step leads on.
    fn leads(&self, takes: impl Fn(&Step) -> bool) -> bool {
        self.levels.last().copied().unwrap_or(true) && self.path.steps.get(self.levels.len() - 1).is_some_and(takes)
    }
}

impl Visitor for Search<'_> {
    fn property(&mut self, name: &str, spelling: Spelling) {
        let mut spelled = String::new();
        if spelling == Spelling::Escaped {
            unescape(name, &mut spelled);
        }
        let name = if spelling == Spelling::Escaped { &spelled } else { name };
        self.here = self.leads(|step| match step {
            Step::Name(wanted) => **wanted == *name,
            Step::Any => true,
            Step::Index(_) => false,
        });
    }

    fn element(&mut self, index: u32) {
        self.here = self.leads(|step| match step {
            Step::Index(wanted) => *wanted == index,
            Step::Any => true,
            Step::Name(_) => false,
        });
    }

    fn atom(&mut self, atom: Atom, range: Range<usize>) {
        self.at = if matches!(atom, Atom::Text(_)) { range.start - 1 } else { range.start };
    }

    fn open(&mut self, _container: Container, at: usize) {
        self.at = at;
    }

    fn enter(&mut self) {
        self.levels.push(self.here);
        if self.here && self.levels.len() - 1 == self.path.steps.len() {
            self.begun = self.at;
        }
    }

    fn exit(&mut self) {
        self.here = self.levels.pop().unwrap_or_default();
        if self.here && self.levels.len() == self.path.steps.len() {
            self.at = self.begun;
        }
    }

    fn leave(&mut self, end: usize) {
        if self.here && self.levels.len() == self.path.steps.len() {
            self.found.push(self.at..end);
        }
        self.here = false;
    }
}
