/// What came of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The endpoint has it.
    Delivered,
    /// It may have it next time; why it has not.
    Failed(String),
    /// It will not take it; why.
    Refused(String),
}
