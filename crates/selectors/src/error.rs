use opentrail_model::{ParseSelectorFieldError, SelectorField};

/// Why selectors are refused. The texts are AWS's own where they have been observed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Too few or too many selectors.
    #[error("Specify a valid number of event selectors (1 to {max}); {given} were given.")]
    Count {
        /// Selectors given.
        given: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// Basic and advanced selectors at once.
    #[error("Specify either EventSelectors or AdvancedEventSelectors, not both.")]
    BothKinds,
    /// An event data store with basic selectors.
    #[error("Event data stores take advanced event selectors only.")]
    BasicInStore,
    /// No value of `ReadWriteType`.
    #[error("Value {given} for ReadWriteType is invalid: use ReadOnly, WriteOnly or All.")]
    ReadWriteType {
        /// What was given.
        given: String,
    },
    /// Too many values of basic selectors.
    #[error("Specify a valid number of DataResources.Values (0 to {max}) for all your selectors; {given} were given.")]
    DataValues {
        /// Values given, those that mean all left out.
        given: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// A type that basic selectors do not know.
    #[error(
        "Value {kind} for DataResources.Type is invalid: basic event selectors take AWS::S3::Object, AWS::Lambda::Function and AWS::DynamoDB::Table."
    )]
    DataType {
        /// The type.
        kind: String,
    },
    /// A value that is not of its type.
    #[error("Value {value} for DataResources.Values is invalid.")]
    DataValue {
        /// The value.
        value: String,
    },
    /// A service whose management events cannot be left out.
    #[error(
        "Value {event_source} for ExcludeManagementEventSources is invalid: only kms.amazonaws.com and rdsdata.amazonaws.com can be excluded."
    )]
    Excluded {
        /// The service.
        event_source: String,
    },
    /// Too many values of advanced selectors.
    #[error(
        "Specify a valid number of values (1 to {max}) for all conditions of all your advanced event selectors; {given} were given."
    )]
    Values {
        /// Values given.
        given: usize,
        /// The most that are allowed.
        max: usize,
    },
    /// One of the advanced selectors is invalid.
    #[error("Advanced event selector {number} is invalid: {error}.")]
    Advanced {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        error: FieldError,
    },
    /// An event data store of more than one kind of events.
    #[error("{category} events cannot be collected together with events of other categories.")]
    Mixed {
        /// The category that stands alone.
        category: String,
    },
}

/// What is wrong with one advanced selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No such field.
    #[error(transparent)]
    Unknown(#[from] ParseSelectorFieldError),
    /// A field in two field selectors.
    #[error("the field {field} is given more than once; put all its conditions into one field selector")]
    Repeated {
        /// The field.
        field: SelectorField,
    },
    /// A field selector without a value.
    #[error("the field {field} has no values")]
    Empty {
        /// The field.
        field: SelectorField,
    },
    /// A field that the selector needs.
    #[error("the field {field} is required{}", of_category(category))]
    Missing {
        /// The field.
        field: SelectorField,
        /// By what; `None` when every selector needs it.
        category: Option<String>,
    },
    /// A field that events of the category are not selected by.
    #[error("the field {field} cannot be used where eventCategory is {category}")]
    NotOfCategory {
        /// The field.
        field: SelectorField,
        /// The category.
        category: String,
    },
    /// An operator that the field does not take.
    #[error("the field {field} takes {allowed} only, not {operator}{}", of_category(category))]
    Operator {
        /// The field.
        field: SelectorField,
        /// What was used.
        operator: &'static str,
        /// What can be used.
        allowed: &'static str,
        /// Where; `None` when everywhere.
        category: Option<String>,
    },
    /// Several values where there can be one.
    #[error("the field {field} takes exactly one value; {given} were given")]
    Several {
        /// The field.
        field: SelectorField,
        /// Values given.
        given: usize,
    },
    /// A value that the field does not take.
    #[error("the value {value} of the field {field} is invalid: {expected}")]
    Value {
        /// The field.
        field: SelectorField,
        /// The value.
        value: String,
        /// What can be used.
        expected: &'static str,
    },
    /// A value that is asked for and excluded at once, so that nothing can match.
    #[error("the value {value} of the field {field} is both included by {operator} and excluded by Not{operator}")]
    Contradiction {
        /// The field.
        field: SelectorField,
        /// The value.
        value: String,
        /// The positive operator.
        operator: &'static str,
    },
}

fn of_category(category: &Option<String>) -> String {
    category.as_ref().map_or_else(String::new, |category| format!(" where eventCategory is {category}"))
}
