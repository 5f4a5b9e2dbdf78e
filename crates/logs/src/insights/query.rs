//! Queries: commands joined by `|`.

use std::sync::Arc;

use regex::Regex;

use super::expression::{Expression, compile, require_regex};
use super::syntax::Cursor;
use crate::error::LogsError;

/// How many rows a query yields at most.
pub(crate) const MOST_ROWS: usize = 10_000;
/// How many commands a query has at most, and how many names a command.
const MOST_COMMANDS: usize = 50;
const MOST_NAMES: usize = 200;

/// A query that was read.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(super) commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub(super) enum Command {
    Fields(Vec<Named>),
    Display(Vec<Named>),
    Filter(Expression),
    Parse { from: Expression, pattern: Regex, names: Vec<(usize, Arc<str>)> },
    Stats { aggregates: Vec<(Aggregate, Arc<str>)>, by: Vec<Named> },
    Sort(Vec<(Expression, Order)>),
    Limit(usize),
    Dedup(Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Up,
    Down,
}

/// An expression and what its value is called.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) expression: Expression,
    pub(super) name: Arc<str>,
}

#[derive(Clone, Debug)]
pub(super) enum Aggregate {
    Count(Option<Expression>),
    CountDistinct(Expression),
    Sum(Expression),
    Average(Expression),
    Least(Expression),
    Greatest(Expression),
    /// With the percentile, 0 to 100.
    Percentile(Expression, f64),
    Earliest(Expression),
    Latest(Expression),
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// [`LogsError::MalformedQuery`], which says what is wrong and where.
    pub(crate) fn parse(text: &str) -> Result<Self, LogsError> {
        let mut cursor = Cursor::new(text);
        let mut commands = Vec::new();
        while !cursor.is_done() {
            if !commands.is_empty() {
                cursor.expect("|")?;
                if cursor.is_done() {
                    break;
                }
            }
            if commands.len() == MOST_COMMANDS {
                return Err(cursor.error(format_args!("a query has at most {MOST_COMMANDS} commands")));
            }
            commands.push(command(&mut cursor)?);
        }
        Ok(Self { commands })
    }
}

fn command(cursor: &mut Cursor<'_>) -> Result<Command, LogsError> {
    let before = cursor.clone();
    let name = cursor.require_name()?.to_ascii_lowercase();
    Ok(match name.as_str() {
        "fields" => Command::Fields(named_list(cursor)?),
        "display" => Command::Display(named_list(cursor)?),
        "filter" => Command::Filter(Expression::parse(cursor)?),
        "parse" => parse_command(cursor)?,
        "stats" => stats(cursor)?,
        "sort" => Command::Sort(sort(cursor)?),
        "limit" => {
            let count = cursor.number().filter(|count| *count >= 1.0 && count.fract() == 0.0);
            let count = count.ok_or_else(|| cursor.error("limit takes a whole number from 1"))?;
            if count > MOST_ROWS as f64 {
                return Err(cursor.error(format_args!("limit is at most {MOST_ROWS}")));
            }
            Command::Limit(count as usize)
        }
        "dedup" => Command::Dedup(named_list(cursor)?.into_iter().map(|named| named.expression).collect()),
        _ => {
            let known = "fields, display, filter, parse, stats, sort, limit and dedup";
            return Err(before.error(format_args!("there is no command {name} here; there are {known}")));
        }
    })
}

fn named(cursor: &mut Cursor<'_>) -> Result<Named, LogsError> {
    cursor.skip();
    let begin = cursor.at();
    let expression = Expression::parse(cursor)?;
    let name = match expression.plain_field() {
        Some(field) => field.to_owned(),
        None => cursor.since(begin).to_owned(),
    };
    let name = if cursor.eat_word("as") { cursor.require_name()? } else { name };
    Ok(Named { expression, name: name.into() })
}

fn named_list(cursor: &mut Cursor<'_>) -> Result<Vec<Named>, LogsError> {
    let mut list = vec![named(cursor)?];
    // Commas between fields may be left out.
    while cursor.eat(",") || !matches!(cursor.peek(), None | Some('|')) {
        if list.len() == MOST_NAMES {
            return Err(cursor.error(format_args!("a command has at most {MOST_NAMES} fields")));
        }
        list.push(named(cursor)?);
    }
    Ok(list)
}

fn sort(cursor: &mut Cursor<'_>) -> Result<Vec<(Expression, Order)>, LogsError> {
    let mut keys = Vec::new();
    loop {
        let expression = Expression::parse(cursor)?;
        let down = cursor.eat_word("desc");
        let order = if down { Order::Down } else { Order::Up };
        if !down {
            cursor.eat_word("asc");
        }
        keys.push((expression, order));
        if !cursor.eat(",") {
            return Ok(keys);
        }
    }
}

fn parse_command(cursor: &mut Cursor<'_>) -> Result<Command, LogsError> {
    let quoted = matches!(cursor.peek(), Some('"' | '\'' | '/'));
    let from = match cursor.name()? {
        Some(name) if !quoted => Expression::Field(name),
        _ => Expression::Field("@message".to_owned()),
    };
    let Some(glob) = cursor.text()? else {
        let pattern = require_regex(cursor)?;
        let names: Vec<(usize, Arc<str>)> =
            pattern.capture_names().enumerate().filter_map(|(number, name)| Some((number, name?.into()))).collect();
        if names.is_empty() {
            return Err(cursor.error("the regular expression has no named groups; write them as (?<name>…)"));
        }
        return Ok(Command::Parse { from, pattern, names });
    };
    if !cursor.eat_word("as") {
        return Err(cursor.error("names are missing; write as first, second after the pattern"));
    }
    let mut names: Vec<(usize, Arc<str>)> = Vec::new();
    loop {
        names.push((names.len() + 1, cursor.require_name()?.into()));
        if !cursor.eat(",") {
            break;
        }
    }
    let stars = glob.matches('*').count();
    if stars != names.len() {
        return Err(cursor.error(format_args!("the pattern has {stars} stars and {} names", names.len())));
    }
    Ok(Command::Parse { from, pattern: compile(cursor, &glob_pattern(&glob))?, names })
}

/// Each star takes as little as it can, the last one at the end the rest.
fn glob_pattern(glob: &str) -> String {
    let parts: Vec<String> = glob.split('*').map(regex::escape).collect();
    let last = parts.len() - 1;
    let mut pattern = String::from("(?s)");
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            pattern.push_str(if number == last && part.is_empty() { "(.*)" } else { "(.*?)" });
        }
        pattern.push_str(part);
    }
    pattern
}

fn stats(cursor: &mut Cursor<'_>) -> Result<Command, LogsError> {
    let mut aggregates = Vec::new();
    loop {
        cursor.skip();
        let begin = cursor.at();
        let aggregate = aggregate(cursor)?;
        let name = cursor.since(begin).to_owned();
        let name = if cursor.eat_word("as") { cursor.require_name()? } else { name };
        aggregates.push((aggregate, name.into()));
        if !cursor.eat(",") {
            break;
        }
    }
    let by = if cursor.eat_word("by") { named_list(cursor)? } else { Vec::new() };
    Ok(Command::Stats { aggregates, by })
}

fn aggregate(cursor: &mut Cursor<'_>) -> Result<Aggregate, LogsError> {
    let before = cursor.clone();
    let name = cursor.require_name()?.to_ascii_lowercase();
    cursor.expect("(")?;
    if name == "count" && (cursor.eat(")") || cursor.eat("*") && cursor.eat(")")) {
        return Ok(Aggregate::Count(None));
    }
    let of = Expression::parse(cursor)?;
    let aggregate = match name.as_str() {
        "count" => Aggregate::Count(Some(of)),
        "count_distinct" => Aggregate::CountDistinct(of),
        "sum" => Aggregate::Sum(of),
        "avg" => Aggregate::Average(of),
        "min" => Aggregate::Least(of),
        "max" => Aggregate::Greatest(of),
        "earliest" => Aggregate::Earliest(of),
        "latest" => Aggregate::Latest(of),
        "pct" => {
            cursor.expect(",")?;
            let percent = cursor.number().filter(|percent| (0.0..=100.0).contains(percent));
            Aggregate::Percentile(of, percent.ok_or_else(|| cursor.error("pct takes a percentile from 0 to 100"))?)
        }
        _ => {
            let known = "count, count_distinct, sum, avg, min, max, pct, earliest and latest";
            return Err(before.error(format_args!("there is no statistic {name} here; there are {known}")));
        }
    };
    cursor.expect(")")?;
    Ok(aggregate)
}

impl Query {
    /// The columns of its results, in their order.
    pub(super) fn columns(&self) -> Vec<Arc<str>> {
        let mut columns: Vec<Arc<str>> = Vec::new();
        let (mut of_events, mut displayed) = (true, None);
        let names = |list: &[Named]| list.iter().map(|named| named.name.clone()).collect::<Vec<_>>();
        for command in &self.commands {
            match command {
                Command::Fields(list) => columns.extend(names(list)),
                Command::Display(list) => displayed = Some(names(list)),
                Command::Stats { aggregates, by } => {
                    columns = names(by);
                    columns.extend(aggregates.iter().map(|(_, name)| name.clone()));
                    (of_events, displayed) = (false, None);
                }
                _ => {}
            }
        }
        if columns.is_empty() {
            columns = vec!["@timestamp".into(), "@message".into()];
        }
        columns = displayed.unwrap_or(columns);
        if of_events {
            columns.push("@ptr".into());
        }
        let mut seen = std::collections::HashSet::new();
        columns.retain(|name| seen.insert(name.clone()));
        columns
    }

    /// Whether results come in the order of events, the newest first, without being sorted.
    pub(super) fn keeps_order(&self) -> bool {
        !self.commands.iter().any(|command| matches!(command, Command::Stats { .. } | Command::Sort(_)))
    }

    /// The query with its events sorted before anything is left out, for events that come group by group.
    pub(super) fn sorted(mut self) -> Self {
        let cut = |command: &Command| matches!(command, Command::Limit(_) | Command::Dedup(_));
        let at = self.commands.iter().position(cut).unwrap_or(self.commands.len());
        let key = Expression::Field("@timestamp".to_owned());
        self.commands.insert(at, Command::Sort(vec![(key, Order::Down)]));
        self
    }
}
