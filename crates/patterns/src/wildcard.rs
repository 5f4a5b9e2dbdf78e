//! Texts in which `*` stands for any text.
//!
//! `\*` is an asterisk and `\\` a backslash; nothing else is escaped, and no two `*` follow one another. (User Guide,
//! "Comparison operators for use in event patterns", wildcard matching.)

use memchr::memmem::Finder;

/// A text with wildcards. Matching takes time linear in the value, however many wildcards there are: each part is looked
/// for after the one before it, and never again.
#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    /// What the value begins with. All of it, if there is no wildcard.
    first: Box<[u8]>,
    rest: Option<Rest>,
}

#[derive(Clone, Debug)]
struct Rest {
    /// What lies between two wildcards.
    middle: Vec<Finder<'static>>,
    /// What the value ends with.
    last: Box<[u8]>,
}

/// A part of a text with wildcards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Byte(u8),
    Any,
}

/// What is wrong with a text with wildcards, and where. Places are counted in bytes from 0, with a quote before the text,
/// as Event Ruler counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoWildcard {
    Consecutive(usize),
    Escape(usize),
}

/// Reads a text with wildcards.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, NoWildcard> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'*', Some(b'*')) => return Err(NoWildcard::Consecutive(at + 1)),
            (b'*', _) => tokens.push(Token::Any),
            (b'\\', Some(escaped @ (b'*' | b'\\'))) => {
                tokens.push(Token::Byte(*escaped));
                at += 1;
            }
            (b'\\', _) => return Err(NoWildcard::Escape(at + 1)),
            _ => tokens.push(Token::Byte(*byte)),
        }
        at += 1;
    }
    Ok(tokens)
}

impl Wildcard {
    pub(crate) fn new(tokens: &[Token]) -> Self {
        let mut parts: Vec<Box<[u8]>> = tokens
            .split(|token| *token == Token::Any)
            .map(|part| part.iter().filter_map(|token| token.byte()).collect())
            .collect();
        let last = (parts.len() > 1).then(|| parts.pop()).flatten();
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or_default();
        let rest = last.map(|last| Rest { middle: parts.map(|part| Finder::new(&part).into_owned()).collect(), last });
        Self { first, rest }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some(mut text) = text.as_bytes().strip_prefix(&*self.first) else { return false };
        let Some(Rest { middle, last }) = &self.rest else { return text.is_empty() };
        for part in middle {
            let Some(at) = part.find(text) else { return false };
            text = &text[at + part.needle().len()..];
        }
        text.ends_with(last)
    }

    /// What every value begins with.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }

    /// What every value ends with.
    pub(crate) fn last(&self) -> &[u8] {
        self.rest.as_ref().map_or(&self.first, |rest| &rest.last)
    }

    /// What every value has in it between its beginning and its end.
    pub(crate) fn middle(&self) -> impl Iterator<Item = &[u8]> {
        self.rest.iter().flat_map(|rest| rest.middle.iter().map(|part| part.needle()))
    }
}

impl Token {
    fn byte(self) -> Option<u8> {
        match self {
            Self::Byte(byte) => Some(byte),
            Self::Any => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(wildcard: &str, text: &str) -> bool {
        Wildcard::new(&tokens(wildcard).unwrap()).matches(text)
    }

    /// Tries every length for each `*`.
    fn plainly(tokens: &[Token], text: &[u8]) -> bool {
        match tokens.split_first() {
            None => text.is_empty(),
            Some((Token::Any, rest)) => (0..=text.len()).any(|at| plainly(rest, &text[at..])),
            Some((Token::Byte(byte), rest)) => text.first() == Some(byte) && plainly(rest, &text[1..]),
        }
    }

    #[test]
    fn wildcards_stand_for_any_text() {
        for (wildcard, text) in [
            ("*", ""),
            ("*", "x"),
            ("dir/*.png", "dir/.png"),
            ("dir/*.png", "dir/a/b.png"),
            ("a*a", "aa"),
            ("*a*a*", "aa"),
            (r"\*\\*", r"*\x"),
            ("", ""),
            ("é*é", "éé"),
        ] {
            assert!(matches(wildcard, text), "{wildcard} {text}");
        }
        for (wildcard, text) in
            [("a*a", "a"), ("*a*a*", "a"), ("", "x"), ("a", "ab"), ("dir/*.png", "dir/a.png.gz"), (r"\*", "x")]
        {
            assert!(!matches(wildcard, text), "{wildcard} {text}");
        }
    }

    #[test]
    fn what_is_no_wildcard_is_refused() {
        for (text, error) in [
            ("**", NoWildcard::Consecutive(1)),
            ("abc**def", NoWildcard::Consecutive(4)),
            (r"a\b", NoWildcard::Escape(2)),
            (r"a\", NoWildcard::Escape(2)),
        ] {
            assert_eq!(tokens(text), Err(error), "{text}");
        }
        assert_eq!(tokens(r"*\**").unwrap(), [Token::Any, Token::Byte(b'*'), Token::Any]);
    }

    #[test]
    fn many_wildcards_cost_no_more_than_a_few() {
        let wildcard = "a*".repeat(2_000) + "b";
        assert!(!matches(&wildcard, &"a".repeat(250_000)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn wildcards_match_what_trying_everything_matches(
            parts in proptest::collection::vec("[ab]{1,2}", 0..5), start in any::<bool>(), text in "[ab]{0,8}",
        ) {
            let wildcard = format!("{}{}", if start { "*" } else { "" }, parts.join("*"));
            let tokens = tokens(&wildcard).unwrap();
            prop_assert_eq!(Wildcard::new(&tokens).matches(&text), plainly(&tokens, text.as_bytes()), "{}", wildcard);
        }
    }
}
