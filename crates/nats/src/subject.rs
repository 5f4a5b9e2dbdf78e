use std::fmt;
use std::str::FromStr;

/// The longest subject, in bytes: a choice of ours.
const MAX_BYTES: usize = 1024;

/// A subject that messages are sent to: words with dots between, without wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

/// Which subjects: `*` stands for a word, `>` at the end for one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectPattern(String);

fn words(text: &str) -> Option<impl Iterator<Item = &str>> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
    (text.len() <= MAX_BYTES && text.split('.').all(is_word)).then(|| text.split('.'))
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = |why: &str| format!("{text:?} is no subject: {why}");
        let mut words = words(text).ok_or_else(|| invalid("it is words of visible ASCII with dots between"))?;
        if words.any(|word| word.contains(['*', '>'])) {
            return Err(invalid("wildcards are for subscribers"));
        }
        // The server's own, by which streams are made and deleted, and answers of others are forged.
        if text.starts_with('$') || text.starts_with("_INBOX.") {
            return Err(invalid("those that begin with $ and _INBOX. are the server's own"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Subject {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SubjectPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("{text:?} is no subject such as audit.> or audit.*.denied");
        let words: Vec<&str> = words(text).ok_or_else(invalid)?.collect();
        let last = words.len() - 1;
        let is_good = |(index, word): (usize, &&str)| match *word {
            "*" => true,
            ">" => index == last,
            word => !word.contains(['*', '>']),
        };
        if words.iter().enumerate().all(is_good) { Ok(Self(text.to_owned())) } else { Err(invalid()) }
    }
}

impl SubjectPattern {
    /// Whether it stands for this subject.
    pub fn has(&self, subject: &Subject) -> bool {
        let mut words = subject.0.split('.');
        for pattern in self.0.split('.') {
            match (pattern, words.next()) {
                (">", word) => return word.is_some(),
                (_, None) => return false,
                ("*", Some(_)) => {}
                (pattern, Some(word)) if pattern == word => {}
                _ => return false,
            }
        }
        words.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_words_that_nobody_elses_are() {
        for good in ["a", "audit.denied", "a-b.c_d.$x", "_INBOXES"] {
            assert_eq!(good.parse::<Subject>().map(|subject| subject.to_string()), Ok(good.to_owned()));
        }
        let bad = [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a\r\nPUB b",
            "a.*",
            "a.>",
            "é",
            "$JS.API.STREAM.DELETE.S",
            "_INBOX.x",
        ];
        for bad in bad {
            assert!(bad.parse::<Subject>().is_err(), "{bad}");
        }
        assert!("a".repeat(1025).parse::<Subject>().is_err());
    }

    #[test]
    fn patterns_stand_for_words() {
        let has =
            |pattern: &str, subject: &str| pattern.parse::<SubjectPattern>().unwrap().has(&subject.parse().unwrap());
        assert!(
            has("a.b", "a.b") && has("a.*", "a.b") && has("a.>", "a.b.c") && has(">", "a") && has("*.b.>", "a.b.c")
        );
        assert!(!has("a.b", "a.c") && !has("a.*", "a") && !has("a.*", "a.b.c") && !has("a.>", "a") && !has("a", "a.b"));
        for bad in ["", "a.>.b", "a*", "a.b>", "a b"] {
            assert!(bad.parse::<SubjectPattern>().is_err(), "{bad}");
        }
    }
}
