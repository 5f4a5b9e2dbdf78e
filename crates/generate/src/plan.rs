//! What a question was understood to ask.

use crate::time::Span;

/// A condition, and how it is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) about: About,
    pub(crate) sql: String,
    pub(crate) said: String,
}

/// What a condition is about: of each there is one, or the question contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Which events.
    Event,
    Service,
    Caller,
    CallersKind,
    CallersAccount,
    Key,
    Address,
    Account,
    Region,
    Outcome,
    Access,
    Resource,
    Category,
    Console,
    Agent,
    Mfa,
    Tls,
    Endpoint,
    Id,
}

/// What rows are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dimension {
    /// Its columns with their headings.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    pub(crate) said: &'static str,
    /// Whether events without it are left out.
    pub(crate) always: bool,
}

/// What the rows are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Events.
    #[default]
    Events,
    /// How many events.
    Count,
    /// How many different values.
    Distinct(Dimension),
    /// How many events for each value.
    Groups(Vec<Dimension>),
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) filters: Vec<Filter>,
    pub(crate) span: Option<Span>,
    pub(crate) shape: Shape,
    /// Groups by their number, the largest first.
    pub(crate) ranked: bool,
    pub(crate) limit: Option<u32>,
    /// The first events, not the last.
    pub(crate) oldest_first: bool,
    /// It asks who it was: then it must say what they did.
    pub(crate) who: bool,
    /// What the question says twice.
    pub(crate) contradiction: Option<String>,
}

impl Plan {
    /// Adds a condition.
    pub(crate) fn filter(&mut self, about: About, sql: impl Into<String>, said: impl Into<String>) {
        let filter = Filter { about, sql: sql.into(), said: said.into() };
        match self.about(about) {
            Some(same) if same.sql == filter.sql => {}
            Some(other) if other.about != About::Resource => {
                self.contradiction = Some(format!("it says both \"{}\" and \"{}\"", other.said, filter.said));
            }
            _ => self.filters.push(filter),
        }
    }

    pub(crate) fn about(&self, about: About) -> Option<&Filter> {
        self.filters.iter().find(|filter| filter.about == about)
    }
}
