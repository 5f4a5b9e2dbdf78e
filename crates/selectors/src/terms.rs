//! Conditions on one text, arranged so that hundreds of values cost little more than one.

/// What a text must be and must not be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    /// `None` when anything will do, an absent text too.
    wanted: Option<Terms>,
    unwanted: Terms,
}

/// Literal values, beginnings and ends; case-sensitive, without wildcards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Sorted.
    exact: Vec<Box<str>>,
    /// Sorted, none of them the beginning of another: at most one can be the beginning of a text, and that is the
    /// greatest that is not greater than the text.
    prefixes: Vec<Box<[u8]>>,
    /// Spelled backwards, otherwise as `prefixes`.
    suffixes: Vec<Box<[u8]>>,
}

impl Condition {
    pub(crate) fn new(wanted: Option<Terms>, unwanted: Terms) -> Self {
        Self { wanted, unwanted }
    }

    /// Whether the text satisfies both sides. What is absent is nothing of what is wanted, and nothing of what is not
    /// wanted either.
    pub(crate) fn holds(&self, text: Option<&str>) -> bool {
        match text {
            Some(text) => self.wanted.as_ref().is_none_or(|wanted| wanted.hit(text)) && !self.unwanted.hit(text),
            None => self.wanted.is_none(),
        }
    }
}

impl Terms {
    pub(crate) fn new<S: AsRef<str>>(exact: &[S], prefixes: &[S], suffixes: &[S]) -> Self {
        let mut sorted: Vec<Box<str>> = exact.iter().map(|value| value.as_ref().into()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self {
            exact: sorted,
            prefixes: shortest(prefixes.iter().map(|value| value.as_ref().bytes().collect())),
            suffixes: shortest(suffixes.iter().map(|value| value.as_ref().bytes().rev().collect())),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty() && self.suffixes.is_empty()
    }

    fn hit(&self, text: &str) -> bool {
        self.is_exact(text) || self.begins(text) || self.ends(text)
    }

    fn is_exact(&self, text: &str) -> bool {
        match &self.exact[..] {
            [one] => **one == *text,
            many => many.binary_search_by(|value| (**value).cmp(text)).is_ok(),
        }
    }

    fn begins(&self, text: &str) -> bool {
        let after = self.prefixes.partition_point(|prefix| **prefix <= *text.as_bytes());
        after > 0 && text.as_bytes().starts_with(&self.prefixes[after - 1])
    }

    fn ends(&self, text: &str) -> bool {
        let backwards = || text.bytes().rev();
        let after = self.suffixes.partition_point(|suffix| suffix.iter().copied().le(backwards()));
        after > 0 && {
            let suffix = &self.suffixes[after - 1];
            suffix.len() <= text.len() && suffix.iter().copied().eq(backwards().take(suffix.len()))
        }
    }
}

/// Sorted, without those that another one begins.
fn shortest(values: impl Iterator<Item = Box<[u8]>>) -> Vec<Box<[u8]>> {
    let mut values: Vec<Box<[u8]>> = values.collect();
    values.sort_unstable();
    values.dedup_by(|longer, shorter| longer.starts_with(shorter));
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn terms_hit_what_a_look_at_each_value_hits(
            exact in vec("[ab]{0,3}", 0..5),
            prefixes in vec("[ab]{0,3}", 0..5),
            suffixes in vec("[abä]{0,3}", 0..5),
            text in "[abä]{0,5}",
        ) {
            let expected = exact.contains(&text)
                || prefixes.iter().any(|prefix| text.starts_with(prefix))
                || suffixes.iter().any(|suffix| text.ends_with(suffix));
            prop_assert_eq!(Terms::new(&exact, &prefixes, &suffixes).hit(&text), expected);
        }
    }

    #[test]
    fn an_absent_text_is_neither_wanted_nor_unwanted() {
        let a = || Terms::new(&["a"], &[], &[]);
        assert!(!Condition::new(Some(a()), Terms::default()).holds(None));
        assert!(Condition::new(None, a()).holds(None));
        assert!(Condition::default().holds(None) && Condition::default().holds(Some("a")));
    }
}
