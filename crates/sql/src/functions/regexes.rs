//! Regular expressions. They are of bounded size, and matching takes time linear in the text.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder};
use datafusion::common::{Result, exec_datafusion_err};
use regex::{Regex, RegexBuilder};

use super::scalar::{Arguments, Function, P, bigint, boolean, varchar};
use super::strings::varchars;
use super::tally::Tally;

/// Of a compiled expression.
const SIZE_LIMIT: usize = 2 << 20;

/// What a piece of text takes until it is in its list, beside its characters.
const PIECE_BYTES: usize = 48;

pub(super) const TABLE: &[Function] = &[
    Function::new("regexp_like", &[P::Text, P::Text], boolean, |a| {
        let matches = each(a, |regex, text, _| Ok(regex.is_match(text)))?;
        Ok(Arc::new(BooleanArray::from(matches)))
    }),
    Function::new("regexp_extract", &[P::Text, P::Text, P::Int], varchar, |a| {
        let groups = if a.len() == 3 { Some(a.int(2)?) } else { None };
        let found = each(a, |regex, text, row| {
            let group = group(regex, groups.as_ref().map_or(Some(0), |groups| groups.at(row)))?;
            let captures = group.and_then(|group| regex.captures(text)?.get(group));
            Ok(captures.map(|found| found.as_str().to_owned()))
        })?;
        Ok(Arc::new(found.into_iter().map(Option::flatten).collect::<StringArray>()))
    })
    .optional(1),
    Function::new("regexp_extract_all", &[P::Text, P::Text, P::Int], varchars, |a| {
        let groups = if a.len() == 3 { Some(a.int(2)?) } else { None };
        let mut tally = Tally::default();
        let found = each(a, |regex, text, row| {
            let Some(group) = group(regex, groups.as_ref().map_or(Some(0), |groups| groups.at(row)))? else {
                return Ok(None);
            };
            let mut pieces = Vec::new();
            for captures in regex.captures_iter(text) {
                let found = captures.get(group).map(|found| found.as_str().to_owned());
                tally.add(PIECE_BYTES + found.as_ref().map_or(0, String::len))?;
                pieces.push(found);
            }
            Ok(Some(pieces))
        })?;
        Ok(lists(found.into_iter().map(Option::flatten)))
    })
    .optional(1),
    Function::new("regexp_replace", &[P::Text, P::Text, P::Text], varchar, |a| {
        let replacements = if a.len() == 3 { Some(a.text(2)?) } else { None };
        let mut tally = Tally::default();
        let replaced = each(a, |regex, text, row| {
            let replacement = match &replacements {
                Some(replacements) => replacements.at(row),
                None => Some(""),
            };
            let Some(replacement) = replacement else { return Ok(None) };
            let replacement = expansion(replacement);
            let (mut replaced, mut rest) = (String::with_capacity(text.len()), 0);
            for captures in regex.captures_iter(text) {
                let Some(found) = captures.get(0) else { continue };
                replaced.push_str(&text[rest..found.start()]);
                captures.expand(&replacement, &mut replaced);
                rest = found.end();
                Tally::default().add(replaced.len())?;
            }
            replaced.push_str(&text[rest..]);
            tally.add(replaced.len())?;
            Ok(Some(replaced))
        })?;
        Ok(Arc::new(replaced.into_iter().map(Option::flatten).collect::<StringArray>()))
    })
    .optional(1),
    Function::new("regexp_split", &[P::Text, P::Text], varchars, |a| {
        let mut tally = Tally::default();
        let pieces = each(a, |regex, text, _| {
            let mut pieces = Vec::new();
            for piece in regex.split(text) {
                tally.add(PIECE_BYTES + piece.len())?;
                pieces.push(Some(piece.to_owned()));
            }
            Ok(pieces)
        })?;
        Ok(lists(pieces.into_iter()))
    }),
    Function::new("regexp_count", &[P::Text, P::Text], bigint, |a| {
        let counts = each(a, |regex, text, _| Ok(regex.find_iter(text).count() as i64))?;
        Ok(Arc::new(Int64Array::from(counts)))
    }),
    Function::new("regexp_position", &[P::Text, P::Text], bigint, |a| {
        let positions = each(a, |regex, text, _| {
            Ok(regex.find(text).map_or(-1, |found| text[..found.start()].chars().count() as i64 + 1))
        })?;
        Ok(Arc::new(Int64Array::from(positions)))
    }),
];

fn compile(pattern: &str) -> Result<Regex> {
    let built = RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => exec_datafusion_err!("the regular expression is too large"),
        _ => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            exec_datafusion_err!("the regular expression '{pattern}' is not valid: {reason}")
        }
    })
}

/// `of` the compiled second argument and the first, for each row where both are.
fn each<T>(a: &Arguments, mut of: impl FnMut(&Regex, &str, usize) -> Result<T>) -> Result<Vec<Option<T>>> {
    let (texts, patterns) = (a.text(0)?, a.text(1)?);
    let mut compiled: HashMap<&str, Regex> = HashMap::new();
    let mut values = Vec::with_capacity(a.rows);
    for row in 0..a.rows {
        let (Some(text), Some(pattern)) = (texts.at(row), patterns.at(row)) else {
            values.push(None);
            continue;
        };
        if !compiled.contains_key(pattern) {
            // Patterns may come from a column.
            if compiled.len() > 64 {
                compiled.clear();
            }
            compiled.insert(pattern, compile(pattern)?);
        }
        values.push(Some(of(&compiled[pattern], text, row)?));
    }
    Ok(values)
}

fn group(regex: &Regex, group: Option<i64>) -> Result<Option<usize>> {
    let Some(group) = group else { return Ok(None) };
    let within = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
    let most = regex.captures_len() - 1;
    within.map(Some).ok_or_else(|| exec_datafusion_err!("the regular expression has {most} groups, not {group}"))
}

/// Trino's `$1`, `${name}` and `\$` in our library's form, where `$1x` would name a group `1x`.
fn expansion(replacement: &str) -> String {
    let mut out = String::with_capacity(replacement.len());
    let mut characters = replacement.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('$') => out.push_str("$$"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            '$' if characters.peek().is_some_and(char::is_ascii_digit) => {
                out.push_str("${");
                while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                    out.push(digit);
                }
                out.push('}');
            }
            other => out.push(other),
        }
    }
    out
}

fn lists(values: impl Iterator<Item = Option<Vec<Option<String>>>>) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in values {
        let is_valid = value.is_some();
        for item in value.into_iter().flatten() {
            lists.values().append_option(item);
        }
        lists.append(is_valid);
    }
    Arc::new(lists.finish())
}
