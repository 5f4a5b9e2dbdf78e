//! The regular expressions of filter patterns, a small part of what is usual. Each is checked and spelled anew for the
//! `regex` crate, to which some characters mean more. (User Guide, "Supported regular expressions (regex) syntax".)

use regex::{Regex, RegexBuilder};

use crate::cursor::Cursor;
use crate::error::{PatternError, Problem};

/// How many bytes a compiled one takes at most: repetitions of repetitions would grow without a bound.
const MAX_COMPILED: usize = 256 << 10;

/// Reads a regular expression up to the `%` that ends it; the one that begins it is read.
///
/// ASCII throughout: `\d`, `\s` and `\w` are the classes of ASCII, as the pattern cannot have other characters.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Regex, PatternError> {
    let open = cursor.at() - 1;
    let mut spelled = String::new();
    loop {
        let at = cursor.at();
        match cursor.next() {
            None => return Err(cursor.error_at(open, Problem::Unclosed { open: '%', close: '%' })),
            Some('%') if spelled.is_empty() => return Err(cursor.error_at(open, Problem::RegexEmpty)),
            Some('%') => break,
            Some('[') => class(cursor, &mut spelled)?,
            Some('{') => repetition(cursor, &mut spelled)?,
            Some('\\') => spelled.push_str(&escape(cursor)?.spelled()),
            Some(operator @ ('^' | '$' | '?' | '|' | '*' | '+' | '.')) => spelled.push(operator),
            Some(found) => spelled.push_str(&Atom::Character(plain(cursor, at, found)?).spelled()),
        }
    }
    RegexBuilder::new(&spelled).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build().map_err(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "it is too large; use smaller repetitions",
            _ => "an operator has nothing before it, or bounds are the wrong way round",
        };
        cursor.error_at(open, Problem::Regex { reason })
    })
}

/// What stands for one character.
enum Atom {
    Character(char),
    /// A class in the spelling of the `regex` crate.
    Class(&'static str),
}

impl Atom {
    fn spelled(&self) -> String {
        match self {
            Self::Character(character) if character.is_ascii_alphanumeric() => character.to_string(),
            Self::Character(character) => format!("\\x{{{:x}}}", u32::from(*character)),
            Self::Class(class) => (*class).to_owned(),
        }
    }
}

/// A character that stands for itself.
fn plain(cursor: &Cursor<'_>, at: usize, found: char) -> Result<char, PatternError> {
    match found {
        ':' | '_' | '#' | '=' | '@' | '/' | ';' | ',' | '-' | ' ' => Ok(found),
        _ if found.is_ascii_alphanumeric() => Ok(found),
        '(' | ')' => Err(cursor.error_at(at, Problem::RegexGroup)),
        ']' | '}' => {
            Err(cursor.error_at(at, Problem::Regex { reason: "this closes nothing; write a backslash before it" }))
        }
        _ => Err(cursor.error_at(at, Problem::RegexCharacter { found })),
    }
}

/// What follows a backslash, which is read.
fn escape(cursor: &mut Cursor<'_>) -> Result<Atom, PatternError> {
    let at = cursor.at();
    let Some(found) = cursor.next() else {
        return Err(cursor.error_at(at, Problem::Unclosed { open: '%', close: '%' }));
    };
    Ok(match found {
        'd' => Atom::Class("[0-9]"),
        'D' => Atom::Class("[^0-9]"),
        's' => Atom::Class(r"[\t\n\v\f\r ]"),
        'S' => Atom::Class(r"[^\t\n\v\f\r ]"),
        'w' => Atom::Class("[0-9A-Za-z_]"),
        'W' => Atom::Class("[^0-9A-Za-z_]"),
        'x' => {
            let digits = cursor.rest().get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii);
            let Some(code) = code else {
                let reason = "\\x is followed by two hexadecimal digits up to 7f";
                return Err(cursor.error_at(at, Problem::Regex { reason }));
            };
            cursor.next();
            cursor.next();
            Atom::Character(char::from(code))
        }
        '^' | '$' | '?' | '[' | ']' | '{' | '}' | '|' | '\\' | '*' | '+' | '.' => Atom::Character(found),
        ':' | '_' | '#' | '=' | '@' | '/' | ';' | ',' | '-' => Atom::Character(found),
        '(' | ')' => return Err(cursor.error_at(at, Problem::RegexGroup)),
        _ => return Err(cursor.error_at(at, Problem::RegexEscape { found })),
    })
}

/// A class of characters up to its `]`. Operators stand for themselves in it.
fn class(cursor: &mut Cursor<'_>, spelled: &mut String) -> Result<(), PatternError> {
    let open = cursor.at() - 1;
    spelled.push('[');
    if cursor.eat("^") {
        spelled.push('^');
    }
    let mut empty = true;
    loop {
        let at = cursor.at();
        if cursor.eat("]") {
            if empty {
                return Err(cursor.error_at(open, Problem::Regex { reason: "the class of characters is empty" }));
            }
            spelled.push(']');
            return Ok(());
        }
        empty = false;
        let first = member(cursor, open)?;
        let range = cursor.rest().starts_with('-') && !cursor.rest().starts_with("-]");
        if !range {
            spelled.push_str(&first.spelled());
            continue;
        }
        cursor.next();
        match (first, member(cursor, open)?) {
            (Atom::Character(first), Atom::Character(last)) if first <= last => {
                spelled.push_str(&Atom::Character(first).spelled());
                spelled.push('-');
                spelled.push_str(&Atom::Character(last).spelled());
            }
            _ => {
                let reason = "a range goes from a lower to a higher character";
                return Err(cursor.error_at(at, Problem::Regex { reason }));
            }
        }
    }
}

fn member(cursor: &mut Cursor<'_>, open: usize) -> Result<Atom, PatternError> {
    let at = cursor.at();
    match cursor.next() {
        None | Some('%') => Err(cursor.error_at(open, Problem::Unclosed { open: '[', close: ']' })),
        Some('\\') => escape(cursor),
        Some(operator @ ('^' | '$' | '?' | '[' | '{' | '}' | '|' | '*' | '+' | '.')) => Ok(Atom::Character(operator)),
        Some(found) => plain(cursor, at, found).map(Atom::Character),
    }
}

/// `{m}`, `{m,}` or `{m,n}` after the brace.
fn repetition(cursor: &mut Cursor<'_>, spelled: &mut String) -> Result<(), PatternError> {
    let open = cursor.at() - 1;
    let inside = cursor.eat_while(|next| next.is_ascii_digit() || next == ',');
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    if !cursor.eat("}") || least.is_empty() || most.contains(',') {
        let reason = "a repetition is {m}, {m,} or {m,n}; write a backslash before a brace that stands for itself";
        return Err(cursor.error_at(open, Problem::Regex { reason }));
    }
    spelled.push('{');
    spelled.push_str(inside);
    spelled.push('}');
    Ok(())
}
