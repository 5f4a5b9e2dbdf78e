//! A query at work: rows go in one by one, results come out at the end, in bounded memory.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ResultRow;
use super::expression::Expression;
use super::query::{Command, MOST_ROWS, Named, Order, Query};
use super::row::{Event, Row, Value};
use super::stats::State;

/// What a query may keep in memory, in bytes, about.
const MOST_BYTES: usize = 64 << 20;

/// A query needs more memory than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The commands of a query with what each has gathered.
#[derive(Debug)]
pub(super) struct Pipeline {
    steps: Vec<Step>,
    columns: Vec<Arc<str>>,
    results: Vec<ResultRow>,
    limit: usize,
    bytes: usize,
    /// Rows that came past the filters.
    pub(super) matched: u64,
    /// The step before which the last filter stands, from which on rows count as matched.
    last_filter: usize,
}

#[derive(Debug)]
enum Step {
    Fields(Vec<Named>),
    Filter(Expression),
    Parse {
        from: Expression,
        pattern: regex::Regex,
        names: Vec<(usize, Arc<str>)>,
    },
    Stats {
        aggregates: Vec<(super::query::Aggregate, Arc<str>)>,
        by: Vec<Named>,
        groups: HashMap<Vec<Option<String>>, Group>,
    },
    Sort {
        keys: Vec<(Expression, Order)>,
        rows: Vec<(Vec<Value>, Row)>,
        keep: usize,
    },
    Limit {
        left: usize,
    },
    Dedup {
        by: Vec<Expression>,
        seen: HashSet<Vec<Option<String>>>,
    },
}

#[derive(Debug)]
struct Group {
    by: Vec<Value>,
    states: Vec<State>,
}

impl Pipeline {
    /// The query, ready for rows; at most `limit` results.
    pub(super) fn new(query: Query, limit: usize) -> Self {
        let columns = query.columns();
        let mut steps = Vec::new();
        let limits: Vec<Option<usize>> = query.commands.iter().map(limit_of).collect();
        for (number, command) in query.commands.into_iter().enumerate() {
            // What is sorted need not be kept beyond the limit that follows at once.
            let keep = limits.get(number + 1).copied().flatten().unwrap_or(MOST_ROWS);
            steps.extend(match command {
                Command::Fields(list) | Command::Display(list) => Some(Step::Fields(list)),
                Command::Filter(condition) => Some(Step::Filter(condition)),
                Command::Parse { from, pattern, names } => Some(Step::Parse { from, pattern, names }),
                Command::Stats { aggregates, by } => Some(Step::Stats { aggregates, by, groups: HashMap::new() }),
                Command::Sort(keys) => Some(Step::Sort { keys, rows: Vec::new(), keep: keep.min(MOST_ROWS) }),
                Command::Limit(left) => Some(Step::Limit { left }),
                Command::Dedup(by) => Some(Step::Dedup { by, seen: HashSet::new() }),
            });
        }
        let last_filter = steps.iter().rposition(|step| matches!(step, Step::Filter(_))).map_or(0, |at| at + 1);
        Self { steps, columns, results: Vec::new(), limit, bytes: 0, matched: 0, last_filter }
    }

    /// Takes an event in.
    pub(super) fn push(&mut self, event: Event) -> Result<(), TooLarge> {
        self.row(Row { event: Some(Box::new(event)), made: Vec::new() }, 0)
    }

    /// Whether further events change nothing.
    pub(super) fn is_done(&self) -> bool {
        let gathers = |step: &Step| matches!(step, Step::Stats { .. } | Step::Sort { .. });
        for step in &self.steps {
            match step {
                Step::Limit { left: 0 } => return true,
                step if gathers(step) => return false,
                _ => {}
            }
        }
        self.results.len() >= self.limit
    }

    /// The results, once everything is in: their columns in order.
    pub(super) fn finish(mut self) -> Result<Vec<ResultRow>, TooLarge> {
        for at in 0..self.steps.len() {
            for row in self.gathered(at) {
                self.row(row, at + 1)?;
            }
        }
        Ok(self.results)
    }

    /// What the results so far are, of a query that does not gather.
    pub(super) fn so_far(&self) -> &[ResultRow] {
        &self.results
    }

    /// The rows that the step has gathered.
    fn gathered(&mut self, at: usize) -> Vec<Row> {
        match &mut self.steps[at] {
            Step::Stats { aggregates, by, groups } => {
                // Without `by` there is a result also where there are no rows.
                if by.is_empty() && groups.is_empty() {
                    let states = aggregates.iter().map(|(aggregate, _)| State::of(aggregate)).collect();
                    groups.insert(Vec::new(), Group { by: Vec::new(), states });
                }
                let row = |group: Group| {
                    let by = by.iter().map(|named| named.name.clone()).zip(group.by);
                    let results = aggregates.iter().zip(group.states);
                    let results = results.map(|((_, name), state)| (name.clone(), state.result()));
                    Row { event: None, made: by.chain(results).collect() }
                };
                let mut rows: Vec<(Vec<Option<String>>, Row)> =
                    std::mem::take(groups).into_iter().map(|(key, group)| (key, row(group))).collect();
                rows.sort_by(|(a, _), (b, _)| a.cmp(b));
                rows.into_iter().map(|(_, row)| row).collect()
            }
            Step::Sort { keys, rows, keep } => {
                let mut rows = std::mem::take(rows);
                rows.sort_by(|(a, _), (b, _)| order(keys, a, b));
                rows.truncate(*keep);
                rows.into_iter().map(|(_, row)| row).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Sends a row through the steps from `from` on, as far as it goes.
    fn row(&mut self, mut row: Row, from: usize) -> Result<(), TooLarge> {
        for at in from..self.steps.len() {
            if at == self.last_filter && row.event.is_some() {
                self.matched += 1;
            }
            match &mut self.steps[at] {
                Step::Fields(list) => {
                    for Named { expression, name } in list {
                        if expression.plain_field().is_none_or(|field| *field != **name) {
                            let value = expression.value(&row);
                            row.made.push((name.clone(), value));
                        }
                    }
                }
                Step::Filter(condition) => {
                    if !condition.value(&row).is_true() {
                        return Ok(());
                    }
                }
                Step::Parse { from, pattern, names } => {
                    let text = from.value(&row).text().unwrap_or_default();
                    if let Some(found) = pattern.captures(&text) {
                        let value = |group: usize| found.get(group).map(|found| Value::Text(found.as_str().to_owned()));
                        let made = names.iter().filter_map(|(group, name)| Some((name.clone(), value(*group)?)));
                        row.made.extend(made);
                    }
                }
                Step::Stats { aggregates, by, groups } => {
                    let values: Vec<Value> = by.iter().map(|named| named.expression.value(&row)).collect();
                    let key: Vec<Option<String>> = values.iter().map(Value::text).collect();
                    let bytes = &mut self.bytes;
                    let group = groups.entry(key).or_insert_with(|| {
                        *bytes += 200 + 2 * values.iter().map(Value::weight).sum::<usize>() + 64 * aggregates.len();
                        Group {
                            by: values,
                            states: aggregates.iter().map(|(aggregate, _)| State::of(aggregate)).collect(),
                        }
                    });
                    for ((aggregate, _), state) in aggregates.iter().zip(&mut group.states) {
                        *bytes += state.add(aggregate, &row);
                    }
                    return self.within_bounds();
                }
                Step::Sort { keys, rows, keep } => {
                    let values: Vec<Value> = keys.iter().map(|(key, _)| key.value(&row)).collect();
                    self.bytes += row.weight();
                    rows.push((values, row));
                    // What lies beyond what is kept goes from time to time.
                    if rows.len() >= 2 * *keep + 100 {
                        rows.sort_by(|(a, _), (b, _)| order(keys, a, b));
                        for (_, dropped) in rows.drain(*keep..) {
                            self.bytes = self.bytes.saturating_sub(dropped.weight());
                        }
                    }
                    return self.within_bounds();
                }
                Step::Limit { left: 0 } => return Ok(()),
                Step::Limit { left } => *left -= 1,
                Step::Dedup { by, seen } => {
                    let key: Vec<Option<String>> = by.iter().map(|field| field.value(&row).text()).collect();
                    // Rows without any of the fields stay. (User Guide, "dedup": null values are not considered duplicates.)
                    if key.iter().all(Option::is_some) {
                        let bytes = 100 + key.iter().flatten().map(String::len).sum::<usize>();
                        if !seen.insert(key) {
                            return Ok(());
                        }
                        self.bytes += bytes;
                    }
                }
            }
        }
        if self.last_filter >= self.steps.len() && row.event.is_some() {
            self.matched += 1;
        }
        if self.results.len() < self.limit {
            let shown = self.columns.iter().filter_map(|name| Some((name.clone(), row.field(name).text()?)));
            let shown: ResultRow = shown.collect();
            self.bytes += shown.iter().map(|(_, text)| 64 + text.len()).sum::<usize>();
            self.results.push(shown);
        }
        self.within_bounds()
    }

    fn within_bounds(&self) -> Result<(), TooLarge> {
        if self.bytes > MOST_BYTES { Err(TooLarge) } else { Ok(()) }
    }
}

fn limit_of(command: &Command) -> Option<usize> {
    if let Command::Limit(limit) = command { Some(*limit) } else { None }
}

fn order(keys: &[(Expression, Order)], a: &[Value], b: &[Value]) -> Ordering {
    for ((_, order), (a, b)) in keys.iter().zip(a.iter().zip(b)) {
        let found = match order {
            Order::Up => a.order(b),
            Order::Down => b.order(a),
        };
        if found.is_ne() {
            return found;
        }
    }
    Ordering::Equal
}
