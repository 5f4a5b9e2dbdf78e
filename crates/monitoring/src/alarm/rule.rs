//! The rule of a composite alarm: `ALARM(a) AND NOT (OK("b c") OR FALSE)`. (API Reference, "PutCompositeAlarm", `AlarmRule`.)

use std::collections::BTreeSet;

use super::StateValue;

/// Brackets and `NOT`s may lie within one another this deep.
const DEPTH: usize = 50;
/// As many alarms may a rule name. (API Reference, "PutCompositeAlarm".)
const MAX_ALARMS: usize = 100;
/// As many parts may a rule have. (The same.)
const MAX_ELEMENTS: usize = 500;

/// A parsed rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rule {
    Constant(bool),
    Is(StateValue, String),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// The rule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AlarmRule is not valid: at character {at}: {problem}")]
pub(crate) struct RuleError {
    at: usize,
    problem: String,
}

impl Rule {
    /// Reads a rule. Alarms are named by name or ARN, with or without quotes.
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        let mut parser = Parser { text, at: 0, depth: 0, elements: 0 };
        let rule = parser.any()?;
        parser.space();
        if parser.at < text.len() {
            return Err(parser.error("AND, OR or the end is expected here"));
        }
        let named = rule.alarms().len();
        if named > MAX_ALARMS {
            return Err(parser.error(&format!("the rule names {named} alarms; it may name {MAX_ALARMS}")));
        }
        Ok(rule)
    }

    /// The alarms that it names, as it does.
    pub(crate) fn alarms(&self) -> BTreeSet<&str> {
        match self {
            Self::Constant(_) => BTreeSet::new(),
            Self::Is(_, alarm) => BTreeSet::from([alarm.as_str()]),
            Self::Not(inner) => inner.alarms(),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::alarms).collect(),
        }
    }

    /// Whether it holds, by the states of the alarms it names; one that there is not is in none.
    pub(crate) fn holds(&self, state: &impl Fn(&str) -> Option<StateValue>) -> bool {
        match self {
            Self::Constant(truth) => *truth,
            Self::Is(wanted, alarm) => state(alarm) == Some(*wanted),
            Self::Not(inner) => !inner.holds(state),
            Self::And(parts) => parts.iter().all(|part| part.holds(state)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(state)),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    elements: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, problem: &str) -> RuleError {
        RuleError { at: self.text[..self.at].chars().count() + 1, problem: problem.to_owned() }
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, sign: char) -> bool {
        self.space();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len_utf8() } else { 0 };
        is_next
    }

    /// Takes the word if it is next and no longer one begins with it.
    fn word(&mut self, word: &str) -> bool {
        self.space();
        let after = self.rest().strip_prefix(word);
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let is_next = after.is_some_and(ends);
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn any(&mut self) -> Result<Rule, RuleError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(&format!("rules may lie within one another {DEPTH} deep")));
        }
        let mut parts = vec![self.all()?];
        while self.word("OR") {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Rule::Or(parts) })
    }

    fn all(&mut self) -> Result<Rule, RuleError> {
        let mut parts = vec![self.one()?];
        while self.word("AND") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Rule::And(parts) })
    }

    fn one(&mut self) -> Result<Rule, RuleError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(self.error(&format!("the rule has more than {MAX_ELEMENTS} elements")));
        }
        if self.word("NOT") {
            self.depth += 1;
            if self.depth > DEPTH {
                return Err(self.error(&format!("rules may lie within one another {DEPTH} deep")));
            }
            let inner = self.one()?;
            self.depth -= 1;
            return Ok(Rule::Not(Box::new(inner)));
        }
        if self.word("TRUE") {
            return Ok(Rule::Constant(true));
        }
        if self.word("FALSE") {
            return Ok(Rule::Constant(false));
        }
        for state in [StateValue::Alarm, StateValue::Ok, StateValue::InsufficientData] {
            if self.word(state.as_str()) {
                return Ok(Rule::Is(state, self.alarm()?));
            }
        }
        if self.word("AT_LEAST") {
            return Err(self.error("AT_LEAST is not available here"));
        }
        if !self.take('(') {
            return Err(
                self.error("ALARM(…), OK(…), INSUFFICIENT_DATA(…), NOT, TRUE, FALSE or a bracket is expected here")
            );
        }
        let inner = self.any()?;
        if self.take(')') { Ok(inner) } else { Err(self.error("a closing bracket is expected here")) }
    }

    /// `("name")`, `('name')` or `(name)`.
    fn alarm(&mut self) -> Result<String, RuleError> {
        if !self.take('(') {
            return Err(self.error("an opening bracket is expected here"));
        }
        self.space();
        let quote = self.rest().chars().next().filter(|c| matches!(c, '"' | '\''));
        self.at += usize::from(quote.is_some());
        let end = self.rest().find(quote.unwrap_or(')'));
        let Some(end) = end else { return Err(self.error("the name of an alarm begins here and does not end")) };
        let name = &self.rest()[..end];
        let name = if quote.is_some() { name } else { name.trim() };
        if name.is_empty() {
            return Err(self.error("the name of an alarm is expected here"));
        }
        self.at += end + usize::from(quote.is_some());
        if self.take(')') { Ok(name.to_owned()) } else { Err(self.error("a closing bracket is expected here")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(text: &str) -> bool {
        let state = |alarm: &str| match alarm {
            "a" => Some(StateValue::Alarm),
            "b c" => Some(StateValue::Ok),
            "d" => Some(StateValue::InsufficientData),
            _ => None,
        };
        Rule::parse(text).unwrap().holds(&state)
    }

    #[test]
    fn rules_hold_by_states() {
        for text in [
            "TRUE",
            "ALARM(a)",
            "ALARM(\"a\") AND OK('b c')",
            "NOT ALARM(d) AND INSUFFICIENT_DATA(d)",
            "FALSE AND FALSE OR TRUE",
            "TRUE OR FALSE AND FALSE",
            "NOT (ALARM(a) AND ALARM(d))",
            "NOT NOT TRUE",
            " ( OK( b c ) ) ",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in ["FALSE", "OK(a)", "ALARM(gone)", "NOT TRUE", "(TRUE OR FALSE) AND FALSE"] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_place() {
        for (text, at) in [
            ("", 1),
            ("ALARM", 6),
            ("ALARM(", 7),
            ("ALARM()", 7),
            ("ALARM(a) ALARM(b)", 10),
            ("ALARM(a) AND", 13),
            ("ALARMED(a)", 1),
            ("AT_LEAST(1, ALARM, (a, b))", 9),
            ("ALARM(\"a\"", 10),
        ] {
            assert_eq!(Rule::parse(text).unwrap_err().at, at, "{text}");
        }
        assert!(Rule::parse(&"NOT ".repeat(2000)).is_err());
        assert!(Rule::parse(&"(".repeat(2000)).is_err());
        let many: Vec<_> = (0..101).map(|i| format!("OK(a{i})")).collect();
        assert!(Rule::parse(&many.join(" OR ")).unwrap_err().problem.contains("101"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(ALARM|OK|NOT|AND|OR|TRUE|[()\"' aé]){0,20}") {
            let _ = Rule::parse(&text);
        }
    }
}
