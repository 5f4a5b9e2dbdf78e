//! Why a rule does not run here.

/// A rule that was not loaded, by name and reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {rule}: {reason}")]
pub struct Refused {
    /// The file it came in.
    pub file: String,
    /// Its title, or its number in the file where it has none that could be read.
    pub rule: String,
    /// Why.
    pub reason: Reason,
}

/// Why a rule was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Larger or deeper than anything a rule needs.
    #[error("{what} is more than {most}; split the rule")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much there may be.
        most: usize,
    },
    /// The text is no YAML.
    #[error("this is no YAML: {0}")]
    Yaml(String),
    /// It is YAML and no rule of the Sigma specification.
    #[error("{0}")]
    Invalid(String),
    /// It is about other logs.
    #[error("its logsource is {found}; rules for product aws, service cloudtrail run here")]
    LogSource {
        /// What it is about.
        found: String,
    },
    /// It asks for something that is not done here.
    #[error("{0}")]
    Unsupported(String),
    /// A correlation refers to a rule that is not there.
    #[error("it refers to the rule '{0}', which is not loaded; load both together")]
    Unresolved(String),
    /// Two rules have one id.
    #[error("its id is also that of the rule '{0}'")]
    Duplicate(String),
    /// There are as many as there may be.
    #[error("{0} rules are loaded, and no more may be; remove some")]
    TooMany(usize),
}
