//! A question as words, and which of them are understood so far.

/// One word.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// As it was written, without the punctuation around it.
    pub(crate) text: String,
    pub(crate) lower: String,
    /// It stood in quotes: it is a name and nothing else.
    pub(crate) quoted: bool,
    /// It ended with `'s`, which is gone.
    pub(crate) possessive: bool,
    /// Something has accounted for it.
    pub(crate) used: bool,
}

/// The words of a question.
///
/// Recognisers look for patterns in words that are not used yet: elements between blanks, each a word or several with
/// `|` between them; `?` behind an element says that it may be missing.
#[derive(Debug)]
pub(crate) struct Words(pub(crate) Vec<Word>);

impl Words {
    pub(crate) fn of(question: &str) -> Self {
        let mut words = Vec::new();
        let mut rest = question.trim_start();
        while !rest.is_empty() {
            let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'));
            if let Some(quote) = quote
                && let Some((inside, after)) = rest[1..].split_once(quote)
                && after.chars().next().is_none_or(|next| !next.is_alphanumeric())
                && !inside.is_empty()
                // A name is told in the statement's comment, which is one line.
                && !inside.contains(char::is_control)
            {
                words.push(Word {
                    text: inside.to_owned(),
                    lower: inside.to_lowercase(),
                    quoted: true,
                    possessive: false,
                    used: false,
                });
                rest = after.trim_start();
                continue;
            }
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            push(&mut words, &rest[..end]);
            rest = rest[end..].trim_start();
        }
        Self(words)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The word at `at` in lower case; nothing where there is none, or one that is used or in quotes.
    pub(crate) fn lower(&self, at: usize) -> &str {
        self.free(at).filter(|word| !word.quoted).map_or("", |word| &word.lower)
    }

    /// The word at `at`, unless it is used.
    pub(crate) fn free(&self, at: usize) -> Option<&Word> {
        self.0.get(at).filter(|word| !word.used)
    }

    /// The word at `at` in lower case, used or not.
    pub(crate) fn any(&self, at: usize) -> &str {
        self.0.get(at).map_or("", |word| &word.lower)
    }

    pub(crate) fn claim(&mut self, range: std::ops::Range<usize>) {
        for word in &mut self.0[range] {
            word.used = true;
        }
    }

    /// Where `pattern` ends if it begins at `at`.
    pub(crate) fn matches(&self, at: usize, pattern: &str) -> Option<usize> {
        let mut next = at;
        for element in pattern.split(' ') {
            let (element, optional) = element.strip_suffix('?').map_or((element, false), |element| (element, true));
            let word = self.lower(next);
            if !word.is_empty() && element.split('|').any(|one| one == word) {
                next += 1;
            } else if !optional {
                return None;
            }
        }
        (next > at).then_some(next)
    }

    /// Where `pattern` first stands.
    pub(crate) fn find(&self, pattern: &str) -> Option<(usize, usize)> {
        (0..self.len()).find_map(|at| self.matches(at, pattern).map(|end| (at, end)))
    }

    /// Claims the first `pattern`; whether there was one.
    pub(crate) fn take(&mut self, pattern: &str) -> bool {
        let found = self.find(pattern);
        if let Some((from, to)) = found {
            self.claim(from..to);
        }
        found.is_some()
    }

    /// The words that nothing has accounted for.
    pub(crate) fn unused(&self) -> Vec<&str> {
        self.0.iter().filter(|word| !word.used).map(|word| word.text.as_str()).collect()
    }
}

fn push(words: &mut Vec<Word>, written: &str) {
    let inner = written.trim_start_matches(['(', '"', '[']);
    let bare = inner.trim_end_matches(['.', '?', '!', ':', ',', ')', '"', ']']);
    let (text, possessive) = match bare.strip_suffix("'s") {
        Some(text) => (text, true),
        None => (bare, false),
    };
    if !text.is_empty() {
        let (text, lower) = (text.to_owned(), text.to_lowercase());
        words.push(Word { text, lower, quoted: false, possessive, used: false });
    }
    if inner[bare.len()..].contains(',') {
        let comma = ",".to_owned();
        words.push(Word { text: comma.clone(), lower: comma, quoted: false, possessive: false, used: false });
    }
}

/// A number in digits or letters.
pub(crate) fn number(word: &str) -> Option<u32> {
    const WORDS: &[&str] = &[
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    const TENS: &[(&str, u32)] = &[("thirty", 30), ("forty", 40), ("fifty", 50), ("sixty", 60), ("hundred", 100)];
    if !word.is_empty() && word.len() <= 6 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.parse().ok();
    }
    let small = WORDS.iter().position(|one| *one == word).and_then(|at| u32::try_from(at).ok());
    small.or_else(|| TENS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number))
}

/// The singular of a noun.
pub(crate) fn singular(word: &str) -> String {
    let irregular = match word {
        "aliases" => Some("alias"),
        "addresses" => Some("address"),
        "indices" | "indexes" => Some("index"),
        "databases" => Some("database"),
        "caches" => Some("cache"),
        "leases" => Some("lease"),
        "releases" => Some("release"),
        _ => None,
    };
    if let Some(irregular) = irregular {
        return irregular.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    for ending in ["sses", "xes", "ches", "shes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is")
    {
        return word[..word.len() - 1].to_owned();
    }
    word.to_owned()
}
