use std::collections::BTreeMap;

use opentrail_runtime::Random;
use serde::{Deserialize, Serialize};

use crate::fill::{Parameter, Values, ValuesError, fill};
use crate::view::{self, ViewError};

/// Widgets of a dashboard. (User Guide, "Quotas in AWS CloudTrail".)
pub const MAX_WIDGETS: usize = 10;
/// Parameters of a widget. (API Reference, RequestWidget.)
const MAX_PARAMETERS: usize = 10;
/// What aliases of widgets begin with. AWS does not say what its aliases look like: ours name the dashboard, so that a
/// widget is found by its alias alone.
const ALIAS: &str = "widget";

/// What a dashboard shows at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Widget {
    /// `QueryAlias`, which the service makes; unlike every other's in the account and Region.
    pub alias: String,
    /// `QueryStatement`, with a `?` for each of the parameters.
    pub statement: String,
    /// `QueryParameters`: what is put in for each `?`, in order.
    pub parameters: Vec<String>,
    /// `ViewProperties`.
    pub view: BTreeMap<String, String>,
}

/// A widget as a request describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWidget {
    /// `QueryStatement`.
    pub statement: String,
    /// `QueryParameters`.
    pub parameters: Vec<String>,
    /// `ViewProperties`.
    pub view: BTreeMap<String, String>,
}

/// Why a widget is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WidgetError {
    /// What it is drawn like.
    #[error("Widget {number}: {error}.")]
    View {
        /// Which one, from 1.
        number: usize,
        /// Why.
        error: ViewError,
    },
    /// Nothing is known to put in.
    #[error("Widget {number}: {name:?} is no query parameter; there are $StartTime$, $EndTime$ and $Period$.")]
    Parameter {
        /// Which one, from 1.
        number: usize,
        /// What was given.
        name: String,
    },
    /// There is not a value for each mark.
    #[error("Widget {number}: the statement has {marks} question marks, and there are {count} query parameters.")]
    Marks {
        /// Which one, from 1.
        number: usize,
        /// The marks.
        marks: usize,
        /// The parameters.
        count: usize,
    },
}

impl NewWidget {
    /// Checks what can be checked without the stores. `number` is its place, from 1.
    pub(crate) fn check(&self, number: usize) -> Result<(), WidgetError> {
        view::check(&self.view).map_err(|error| WidgetError::View { number, error })?;
        let is_own =
            |name: &str| Parameter::from_name(name).is_some_and(|parameter| parameter != Parameter::EventDataStoreId);
        if let Some(name) = self.parameters.iter().find(|name| !is_own(name)) {
            return Err(WidgetError::Parameter { number, name: name.clone() });
        }
        let (marks, count) = (self.statement.matches('?').count(), self.parameters.len());
        // Without parameters nothing is replaced, and a question mark is what it is.
        if count > 0 && marks != count || count > MAX_PARAMETERS {
            return Err(WidgetError::Marks { number, marks, count });
        }
        Ok(())
    }

    /// The widget of the dashboard `name`; one that asks the same as before keeps its alias, and with it its results.
    pub(crate) fn named(self, name: &str, before: &mut Vec<Widget>, random: &dyn Random) -> Widget {
        let same = |old: &Widget| old.statement == self.statement && old.parameters == self.parameters;
        let alias = match before.iter().position(same) {
            Some(place) => before.remove(place).alias,
            None => alias(name, &random.uuid().simple().to_string()),
        };
        Widget { alias, statement: self.statement, parameters: self.parameters, view: self.view }
    }

    /// Its statement with these values.
    pub fn filled(&self, values: &Values) -> Result<String, ValuesError> {
        filled(&self.statement, &self.parameters, values)
    }
}

impl Widget {
    /// Its statement with these values.
    pub fn filled(&self, values: &Values) -> Result<String, ValuesError> {
        filled(&self.statement, &self.parameters, values)
    }
}

fn filled(statement: &str, parameters: &[String], values: &Values) -> Result<String, ValuesError> {
    if parameters.is_empty() {
        return Ok(statement.to_owned());
    }
    let value = |name: &String| {
        let unknown = || ValuesError::Unknown { name: name.clone() };
        Parameter::from_name(name).ok_or_else(unknown).and_then(|parameter| values.of(parameter))
    };
    let texts = parameters.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    Ok(fill(statement, &texts).expect("a widget that was checked has a parameter for each mark"))
}

/// The alias of the widget `id` of a dashboard.
pub(crate) fn alias(dashboard: &str, id: &str) -> String {
    format!("{ALIAS}.{dashboard}.{id}")
}

/// The name of the dashboard that the widget of that alias is on.
pub fn dashboard_of(alias: &str) -> Option<&str> {
    alias.strip_prefix(ALIAS)?.strip_prefix('.')?.split_once('.').map(|(dashboard, _)| dashboard)
}

#[cfg(test)]
mod tests {
    use opentrail_runtime::SeededRandom;

    use super::*;

    fn widget(statement: &str, parameters: &[&str]) -> NewWidget {
        let view = [("Height", "2"), ("Width", "2"), ("View", "Table"), ("Title", "t")];
        NewWidget {
            statement: statement.to_owned(),
            parameters: parameters.iter().map(|name| (*name).to_owned()).collect(),
            view: view.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    #[test]
    fn each_mark_needs_a_parameter_that_there_is() {
        assert_eq!(widget("a ? b ?", &["$Period$", "$Period$"]).check(1), Ok(()));
        assert_eq!(widget("regexp_like(a, 'b?')", &[]).check(1), Ok(()));
        let marks = WidgetError::Marks { number: 2, marks: 2, count: 1 };
        assert_eq!(widget("? ?", &["$EndTime$"]).check(2), Err(marks));
        for name in ["$EventDataStoreId$", "literal"] {
            let refused = Err(WidgetError::Parameter { number: 1, name: name.to_owned() });
            assert_eq!(widget("?", &[name]).check(1), refused);
        }
    }

    #[test]
    fn aliases_name_the_dashboard_and_stay_with_what_is_asked() {
        let random = SeededRandom::new(7);
        let first = widget("?", &["$EndTime$"]).named("2-it", &mut Vec::new(), &random);
        assert_eq!(dashboard_of(&first.alias), Some("2-it"));
        assert!(first.alias.len() <= 256 && first.alias.starts_with(char::is_alphabetic));
        let mut before = vec![first.clone()];
        let other = widget("other", &[]).named("2-it", &mut before, &random);
        assert_ne!(other.alias, first.alias);
        let again = widget("?", &["$EndTime$"]).named("2-it", &mut before, &random);
        let twice = widget("?", &["$EndTime$"]).named("2-it", &mut before, &random);
        assert_eq!(again.alias, first.alias);
        assert_ne!(twice.alias, first.alias);
        assert_eq!((dashboard_of("query.a.b"), dashboard_of("widget")), (None, None));
    }
}
