//! Texts with `*`, `?` and `${…}`, and their matching: in time bounded by pattern × text, without backtracking twice.

use crate::context::Facts;

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// These very characters.
    Text(String),
    /// `?`: any one character.
    One,
    /// `*`: any characters, none too.
    Any,
    /// `${key}` or `${key, 'default'}`: the one value of a condition key, taken literally.
    Variable { key: String, default: Option<String> },
}

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

/// How wide a pattern's language is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `*` and `?` are wildcards, `${…}` a variable.
    Wildcards,
    /// `*` and `?` stand for themselves, `${…}` is a variable.
    Literal,
}

/// Whether policies of this version have `${…}` variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variables {
    /// Version 2012-10-17.
    Known,
    /// Version 2008-10-17: `${` is text.
    Unknown,
}

/// Whether a text fits a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// A variable has no value in this request.
    Unresolved,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

impl Pattern {
    /// Parses `text`.
    ///
    /// # Errors
    /// What is wrong with a `${…}`.
    pub(crate) fn parse(text: &str, syntax: Syntax, variables: Variables) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c == '$' && rest.starts_with("${") && variables == Variables::Known {
                let Some((name, after)) = rest[2..].split_once('}') else {
                    return Err(format!("{text:?} has a \"${{\" that is not closed by \"}}\""));
                };
                rest = after;
                match name {
                    "*" | "?" | "$" => literal.push_str(name),
                    _ => {
                        flush(&mut literal, &mut pieces);
                        pieces.push(variable(name)?);
                    }
                }
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match c {
                '*' | '?' if syntax == Syntax::Wildcards => {
                    flush(&mut literal, &mut pieces);
                    match (c, pieces.last()) {
                        ('*', Some(Piece::Any)) => {}
                        ('*', _) => pieces.push(Piece::Any),
                        _ => pieces.push(Piece::One),
                    }
                }
                _ => literal.push(c),
            }
        }
        flush(&mut literal, &mut pieces);
        Ok(Self(pieces))
    }

    /// Whether `text` fits as a whole.
    pub(crate) fn fit(&self, text: &str, facts: &Facts<'_>) -> Fit {
        match self.resolve(facts) {
            Some(tokens) => matches(&tokens, text).into(),
            None => Fit::Unresolved,
        }
    }

    /// Whether `text` fits, not regarding ASCII case.
    pub(crate) fn fit_ignoring_case(&self, text: &str, facts: &Facts<'_>) -> Fit {
        let Some(tokens) = self.resolve(facts) else { return Fit::Unresolved };
        let literal: String = tokens.iter().map(|token| if let Token::Text(t) = token { t } else { "" }).collect();
        literal.eq_ignore_ascii_case(text).into()
    }

    fn ends_open(&self) -> bool {
        self.0.last() == Some(&Piece::Any)
    }

    fn resolve<'a>(&'a self, facts: &Facts<'a>) -> Option<Vec<Token<'a>>> {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(Token::Text(text)),
                Piece::One => Some(Token::One),
                Piece::Any => Some(Token::Any),
                Piece::Variable { key, default } => facts.single(key).or(default.as_deref()).map(Token::Text),
            })
            .collect()
    }
}

fn flush(literal: &mut String, pieces: &mut Vec<Piece>) {
    if !literal.is_empty() {
        pieces.push(Piece::Text(std::mem::take(literal)));
    }
}

fn variable(name: &str) -> Result<Piece, String> {
    let (key, default) = match name.split_once(',') {
        None => (name.trim(), None),
        Some((key, default)) => {
            let default = default.trim();
            let inner = default.strip_prefix('\'').and_then(|d| d.strip_suffix('\''));
            let inner = inner.ok_or_else(|| format!("the default in \"${{{name}}}\" must stand in single quotes"))?;
            (key.trim(), Some(inner.to_owned()))
        }
    };
    if key.is_empty() || key.contains(['$', '{', '\'', '*', '?']) {
        return Err(format!("\"${{{name}}}\" is not a policy variable such as ${{aws:username}}"));
    }
    Ok(Piece::Variable { key: key.to_ascii_lowercase(), default })
}

#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Text(&'a str),
    One,
    Any,
}

/// Greedy matching with one saved star: a later `*` makes an earlier one's choice final, so the cost is at most
/// the product of both lengths, whatever the pattern.
fn matches(tokens: &[Token<'_>], text: &str) -> bool {
    let (mut at, mut rest) = (0, text);
    let mut star: Option<(usize, &str)> = None;
    loop {
        let advanced = match tokens.get(at) {
            None if rest.is_empty() => return true,
            None => None,
            Some(Token::Any) if at + 1 == tokens.len() => return true,
            Some(Token::Any) => {
                star = Some((at + 1, rest));
                Some(rest)
            }
            Some(Token::Text(literal)) => rest.strip_prefix(literal),
            Some(Token::One) => skip_char(rest),
        };
        if let Some(after) = advanced {
            (at, rest) = (at + 1, after);
            continue;
        }
        // Let the last star take one character more.
        let Some((resume, from)) = star else { return false };
        let Some(shorter) = skip_char(from) else { return false };
        star = Some((resume, shorter));
        (at, rest) = (resume, shorter);
    }
}

fn skip_char(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    Some(&text[first.len_utf8()..])
}

/// A pattern for ARNs: the first five parts are matched each by itself, so that a `*` in one cannot reach into the
/// next; the resource part may hold colons. A pattern of fewer parts must end in `*`, which then covers the others.
/// (IAM User Guide, "IAM JSON policy elements: Resource".)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    /// `*`.
    Everything,
    /// At most six.
    Parts(Vec<Pattern>),
}

impl ArnPattern {
    /// Parses `text`.
    ///
    /// # Errors
    /// When it cannot match any ARN.
    pub(crate) fn parse(text: &str, variables: Variables) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        let parts = split_parts(text, variables);
        let parts = parts.into_iter().map(|part| Pattern::parse(part, Syntax::Wildcards, variables));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let whole = text.starts_with("arn:") && (parts.len() == 6 || parts.last().is_some_and(Pattern::ends_open));
        if whole { Ok(Self::Parts(parts)) } else { Err(format!("{text:?} is neither \"*\" nor an ARN")) }
    }

    pub(crate) fn fit(&self, arn: &str, facts: &Facts<'_>) -> Fit {
        let Self::Parts(patterns) = self else { return Fit::Yes };
        let mut parts = arn.splitn(patterns.len(), ':');
        let mut fit = Fit::Yes;
        for pattern in patterns {
            match parts.next().map_or(Fit::No, |part| pattern.fit(part, facts)) {
                Fit::Yes => {}
                Fit::No => return Fit::No,
                Fit::Unresolved => fit = Fit::Unresolved,
            }
        }
        fit
    }
}

/// Splits at the first five colons that stand outside of `${…}`.
fn split_parts(text: &str, variables: Variables) -> Vec<&str> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '$' if variables == Variables::Known && text[at..].starts_with("${") => inside = true,
            '}' => inside = false,
            ':' if !inside && parts.len() < 5 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;
    use proptest::prelude::*;

    fn fit(pattern: &str, text: &str, request: &Context) -> Fit {
        let none = Context::new();
        let pattern = Pattern::parse(pattern, Syntax::Wildcards, Variables::Known).unwrap();
        pattern.fit(text, &Facts::new(&none, request))
    }

    fn arn(pattern: &str, arn: &str) -> Fit {
        let none = Context::new();
        ArnPattern::parse(pattern, Variables::Known).unwrap().fit(arn, &Facts::new(&none, &none))
    }

    /// The definition, as slow as can be.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            Some(('?', rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_is_as_defined(pattern in "[abé*?]{0,10}", text in "[abé]{0,12}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(fit(&pattern, &text, &Context::new()), naive(&chars(&pattern), &chars(&text)).into());
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "\\PC{0,40}", dollars in "[${}:*?,' a]{0,20}") {
            for text in [text, dollars] {
                let _ = Pattern::parse(&text, Syntax::Wildcards, Variables::Known);
                let _ = ArnPattern::parse(&text, Variables::Known);
            }
        }
    }

    #[test]
    fn a_value_is_literal_whatever_it_holds() {
        let request = Context::new().with("s3:prefix", "*").with("x", "${s3:prefix}");
        assert_eq!(fit("home/${s3:prefix}/f", "home/bob/f", &request), Fit::No);
        assert_eq!(fit("home/${s3:prefix}/f", "home/*/f", &request), Fit::Yes);
        assert_eq!(fit("${x}", "${s3:prefix}", &request), Fit::Yes);
        assert_eq!(fit("${x}", "*", &request), Fit::No);
    }

    #[test]
    fn escapes_defaults_and_missing_values() {
        let none = Context::new();
        assert_eq!(fit("a${*}b${?}${$}", "a*b?$", &none), Fit::Yes);
        assert_eq!(fit("a${*}b", "axb", &none), Fit::No);
        assert_eq!(fit("${aws:x, 'company'}/*", "company/f", &none), Fit::Yes);
        assert_eq!(fit("${aws:x}/*", "/f", &none), Fit::Unresolved);
        for bad in ["${", "${a", "${}", "${a, b}", "${${a}}"] {
            assert!(Pattern::parse(bad, Syntax::Wildcards, Variables::Known).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_stays_in_its_part_of_an_arn() {
        let trail = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";
        assert_eq!(arn("arn:aws:cloudtrail:*:111122223333:trail/*", trail), Fit::Yes);
        assert_eq!(arn("arn:aws:cloudtrail:*", trail), Fit::Yes);
        assert!(ArnPattern::parse("arn:*:trail/main", Variables::Known).is_err());
        assert_eq!(
            arn("arn:aws:cloudtrail:*:111122223333:trail/*", "arn:aws:cloudtrail:r:444455556666:111122223333:trail/x"),
            Fit::No
        );
        assert_eq!(arn("arn:aws:logs:*:*:log-group:a:*", "arn:aws:logs:r:1:log-group:a:b:c"), Fit::Yes);
        assert_eq!(arn("arn:aws:s3:::bucket/*", "*"), Fit::No);
        assert_eq!(arn("*", "*"), Fit::Yes);
    }

    #[test]
    fn a_hostile_pattern_is_matched_in_bounded_time() {
        let pattern = format!("{}b", "a*?".repeat(600));
        let text = "a".repeat(4000);
        assert_eq!(fit(&pattern, &text, &Context::new()), Fit::No);
    }
}
