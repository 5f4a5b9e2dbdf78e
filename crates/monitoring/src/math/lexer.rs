use super::MathError;

/// A word of an expression, and where it begins, in characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(f64),
    Name(String),
    Text(String),
    /// An operator, a bracket or a comma.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 20] =
    ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "^", "(", ")", "[", "]", ",", "{", "}"];

/// Cuts an expression into its words.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, MathError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut at = 1;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            at += 1;
            continue;
        }
        let (kind, length) = token(rest).map_err(|problem| MathError::Syntax { at, problem })?;
        tokens.push(Token { kind, at });
        at += rest[..length].chars().count();
        rest = &rest[length..];
    }
    Ok(tokens)
}

/// The word that `rest` begins with, and its length in bytes.
fn token(rest: &str) -> Result<(Kind, usize), String> {
    let first = rest.chars().next().unwrap_or_default();
    if first.is_ascii_digit() || first == '.' {
        let length = number_length(rest.as_bytes());
        let number = rest[..length].parse::<f64>().ok().filter(|number| number.is_finite());
        return number.map(|number| (Kind::Number(number), length)).ok_or_else(|| "this is no number".to_owned());
    }
    if first.is_ascii_alphabetic() {
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Ok((Kind::Name(rest[..length].to_owned()), length));
    }
    if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let end = rest[1..].find(quote).ok_or("a text begins here and does not end")?;
        return Ok((Kind::Text(rest[1..=end].to_owned()), end + 2));
    }
    match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
        Some(sign) => Ok((Kind::Sign(sign), sign.len())),
        None => Err(format!("{first:?} has no meaning in an expression")),
    }
}

/// Digits, perhaps with a fraction and an exponent.
fn number_length(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1;
        length += digits(length);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let signed = length + 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = bytes.get(signed..).map_or(0, |_| digits(signed));
        if exponent > 0 {
            length = signed + exponent;
        }
    }
    length
}
