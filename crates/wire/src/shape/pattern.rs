use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// A pattern of the service model, which must match the whole of a text.
#[derive(Debug)]
pub struct Pattern {
    model: &'static str,
    rust: &'static str,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    /// The pattern as the model spells it, for Java, and the same in the dialect of `regex`.
    pub(crate) const fn new(model: &'static str, rust: &'static str) -> Self {
        Self { model, rust, compiled: OnceLock::new() }
    }

    /// As the model spells it; AWS's messages quote it so.
    pub fn as_str(&self) -> &'static str {
        self.model
    }

    /// Whether the whole of `text` matches; takes time linear in its length.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled
            .get_or_init(|| {
                RegexBuilder::new(&format!(r"\A(?:{})\z", self.rust))
                    .build()
                    .expect("every generated pattern compiles, as a test shows")
            })
            .is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        let digits = Pattern::new(r"\d+", "[0-9]+");
        assert!(digits.matches("123"));
        assert!(!digits.matches("123\n"));
        assert!(!digits.matches("a123"));
        assert!(!digits.matches("١٢٣"), "only ASCII digits count");
    }
}
