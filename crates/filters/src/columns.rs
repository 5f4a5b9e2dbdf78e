//! Patterns of columns, for lines whose fields are separated by blanks. (User Guide, "Match terms in space-delimited
//! log events".)

use std::collections::BTreeMap;

use crate::cursor::{Cursor, is_name};
use crate::error::{PatternError, Problem};
use crate::expression::{Expression, Groups};
use crate::value::{Comparison, Counts};

/// `[ip, ..., status = 404, bytes]`: runs of columns, between which `...` stands for any number of fields, also none.
///
/// A line may have more fields than a pattern without `...` has columns: so the guide's own `[w1=ERROR, w2]` is said to
/// match lines of seven. It may not have fewer.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// At least one; empty ones where the pattern begins or ends with `...`.
    runs: Vec<Vec<Column>>,
}

#[derive(Clone, Debug)]
struct Column {
    name: Option<Box<str>>,
    condition: Option<Expression<Comparison>>,
}

impl Columns {
    /// Reads columns, the bracket before them being read, to the end of the pattern.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, PatternError> {
        let open = cursor.at() - 1;
        let mut counts = Counts::default();
        let (mut runs, mut run) = (Vec::new(), Vec::new());
        cursor.skip_blanks();
        if cursor.rest().starts_with(']') {
            return Err(cursor.error(Problem::NoFields));
        }
        loop {
            cursor.skip_blanks();
            if cursor.eat("...") {
                runs.push(std::mem::take(&mut run));
            } else {
                run.push(Column::parse(cursor, &mut counts)?);
            }
            cursor.skip_blanks();
            match cursor.next() {
                Some(',') => {}
                Some(']') => break,
                None => return Err(cursor.error_at(open, Problem::Unclosed { open: '[', close: ']' })),
                Some(found) => {
                    return Err(cursor.error_at(cursor.at() - found.len_utf8(), Problem::Surplus { found }));
                }
            }
        }
        runs.push(run);
        cursor.skip_blanks();
        cursor.finish()?;
        Ok(Self { runs })
    }

    pub(crate) fn matches(&self, fields: &[&str]) -> bool {
        self.place(fields).is_some()
    }

    /// The fields of a line that matches, by `$` and their names, or by `$` and their numbers from 1 where they have
    /// none.
    pub(crate) fn extract(&self, fields: &[&str]) -> Option<BTreeMap<String, String>> {
        let places = self.place(fields)?;
        let covered = if self.runs.len() > 1 { fields.len() } else { self.runs[0].len() };
        let mut names: Vec<String> = (1..=covered).map(|number| format!("${number}")).collect();
        for (run, place) in self.runs.iter().zip(places) {
            for (column, name) in run.iter().zip(&mut names[place..]) {
                if let Some(named) = &column.name {
                    *name = format!("${named}");
                }
            }
        }
        Some(names.into_iter().zip(fields.iter().map(|field| (*field).to_owned())).collect())
    }

    /// Where in the line each run stands: the first at its beginning, the last, if `...` is before it, at its end,
    /// those between where they fit first, which leaves the most for those after them.
    fn place(&self, fields: &[&str]) -> Option<Vec<usize>> {
        let stands = |run: &[Column], place: usize| {
            fields.get(place..).is_some_and(|fields| {
                run.len() <= fields.len() && run.iter().zip(fields).all(|(column, field)| column.holds(field))
            })
        };
        let (first, others) = self.runs.split_first()?;
        let mut places = vec![0];
        if !stands(first, 0) {
            return None;
        }
        let Some((last, between)) = others.split_last() else { return Some(places) };
        let mut free = first.len();
        for run in between {
            let place = (free..=fields.len().checked_sub(run.len())?).find(|place| stands(run, *place))?;
            places.push(place);
            free = place + run.len();
        }
        let place = fields.len().checked_sub(last.len()).filter(|place| *place >= free)?;
        places.push(place);
        stands(last, place).then_some(places)
    }
}

impl Column {
    fn parse(cursor: &mut Cursor<'_>, counts: &mut Counts) -> Result<Self, PatternError> {
        let begin = cursor.clone();
        let name = cursor.eat_while(is_name);
        cursor.skip_blanks();
        match cursor.peek() {
            Some(',' | ']') | None => {
                return Ok(Self { name: (!name.is_empty()).then(|| name.into()), condition: None });
            }
            Some(_) if name.is_empty() => return Err(cursor.error(Problem::FieldName)),
            Some(_) => *cursor = begin,
        }
        let condition = Expression::parse(cursor, Groups::Unknown, |cursor| {
            let at = cursor.at();
            match cursor.eat_while(is_name) {
                same if same == name => Comparison::parse(cursor, counts),
                "" if matches!(cursor.peek(), None | Some(',' | ']' | '&' | '|')) => {
                    Err(cursor.error_at(at, Problem::NoCondition))
                }
                "" => Err(cursor.error_at(at, Problem::FieldName)),
                _ => Err(cursor.error_at(at, Problem::OtherField { field: name.to_owned() })),
            }
        })?;
        Ok(Self { name: Some(name.into()), condition: Some(condition) })
    }

    fn holds(&self, field: &str) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(&mut |comparison| comparison.holds(field)))
    }
}

/// The fields of a line: what stands between blanks. What begins with `[` or `"` goes to the next `]` or `"`, blanks
/// included, and is the field without these; if there is none, it is an ordinary field.
pub(crate) fn fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = line.trim_ascii_start();
    // Once there is no closing one in the rest of the line, it is not looked for again.
    let (mut brackets, mut quotes) = (true, true);
    while let Some(first) = rest.chars().next() {
        let closing = match first {
            '[' if brackets => Some(']'),
            '"' if quotes => Some('"'),
            _ => None,
        };
        let enclosed = closing.and_then(|closing| rest[1..].split_once(closing));
        brackets &= first != '[' || enclosed.is_some();
        quotes &= first != '"' || enclosed.is_some();
        let (field, after) = enclosed
            .unwrap_or_else(|| rest.split_at(rest.find(|next: char| next.is_ascii_whitespace()).unwrap_or(rest.len())));
        fields.push(field);
        rest = after.trim_ascii_start();
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_separated_by_blanks_and_held_together_by_brackets_and_quotes() {
        for (line, expected) in [
            ("", &[][..]),
            ("  a  b\tc\n", &["a", "b", "c"]),
            (
                r#"1 [10/Oct/2000:13:25:15 -0700] "GET / HTTP/1.0" 404"#,
                &["1", "10/Oct/2000:13:25:15 -0700", "GET / HTTP/1.0", "404"],
            ),
            (r#"[] """#, &["", ""]),
            ("[a b", &["[a", "b"]),
            (r#""a [b c] "d"#, &["a [b c] ", "d"]),
            ("a[b c]", &["a[b", "c]"]),
            ("[a]b", &["a", "b"]),
            ("ä [ö ü]", &["ä", "ö ü"]),
        ] {
            assert_eq!(fields(line), expected, "{line}");
        }
    }
}
