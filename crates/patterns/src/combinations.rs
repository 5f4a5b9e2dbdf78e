//! What a pattern's `$or`s come to: combinations of conditions that have to hold together, any of which will do.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::error::{InvalidPattern, Place, Problem};
use crate::pattern::{Field, MAX_COMBINATIONS};
use crate::read_tests::{Wrong, tests};
use crate::tree::{Node, Value};

/// What `$or` keeps for operators, those to come included.
const RESERVED: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// The conditions by the numbers of their paths. A later one on the same path replaces an earlier one, as Event Ruler has
/// it.
type Combination = BTreeMap<usize, u32>;

/// Whether an object is an alternative, or lies within one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Or,
    Nothing,
}

/// The conditions of a pattern.
pub(crate) struct Conditions {
    pub(crate) fields: Vec<Field>,
    /// The numbers of the fields, in the order of their paths.
    pub(crate) combinations: Vec<Box<[u32]>>,
}

/// Reads the conditions of a pattern.
pub(crate) struct Compiler<'t> {
    text: &'t str,
    /// The numbers of the paths, in the order in which they are met.
    paths: HashMap<String, usize>,
    fields: Vec<Field>,
}

impl<'t> Compiler<'t> {
    pub(crate) fn compile(text: &'t str, root: &Node) -> Result<Conditions, InvalidPattern> {
        let mut compiler = Self { text, paths: HashMap::new(), fields: Vec::new() };
        let combinations = match &root.value {
            Value::Object(members) => {
                compiler.object(root, members, None, vec![Combination::new()], Within::Nothing)?
            }
            _ => return Err(compiler.error(Problem::NotAnObject, root)),
        };
        let fields = compiler.fields;
        let in_order = |combination: Combination| {
            let mut numbers: Vec<u32> = combination.into_values().collect();
            numbers.sort_by(|one, other| fields[*one as usize].path.cmp(&fields[*other as usize].path));
            numbers.into_boxed_slice()
        };
        let combinations = combinations.into_iter().map(in_order).collect();
        Ok(Conditions { fields, combinations })
    }

    /// Adds the conditions of an object to each of the combinations. As deep as the pattern, which is bounded.
    fn object(
        &mut self,
        node: &Node,
        members: &[(String, Node)],
        path: Option<&str>,
        mut combinations: Vec<Combination>,
        within: Within,
    ) -> Result<Vec<Combination>, InvalidPattern> {
        if members.is_empty() {
            // The place is that after the closing bracket, which follows the opening one but for blanks.
            return Err(self.error_at(Problem::EmptyObject, node.range.end + 1));
        }
        for (name, value) in members {
            if name == "$or" {
                combinations = self.alternatives(value, path, &combinations)?;
                continue;
            }
            if within == Within::Or && RESERVED.contains(&name.as_str()) {
                return Err(self.error(Problem::Reserved { name: name.clone() }, value));
            }
            let path = path.map_or_else(|| name.clone(), |path| format!("{path}.{name}"));
            match &value.value {
                Value::Object(members) => {
                    combinations = self.object(value, members, Some(&path), combinations, within)?
                }
                Value::Array(values) => self.field(path, value, values, &mut combinations)?,
                _ => return Err(self.error(Problem::Leaf { name: name.clone() }, value)),
            }
        }
        Ok(combinations)
    }

    /// `"$or": [{…}, {…}]`
    fn alternatives(
        &mut self,
        node: &Node,
        path: Option<&str>,
        combinations: &[Combination],
    ) -> Result<Vec<Combination>, InvalidPattern> {
        let Value::Array(alternatives) = &node.value else { return Err(self.error(Problem::OrArray, node)) };
        let mut all = Vec::new();
        for alternative in alternatives {
            let Value::Object(members) = &alternative.value else {
                return Err(self.error(Problem::OrObject, alternative));
            };
            all.extend(self.object(alternative, members, path, combinations.to_vec(), Within::Or)?);
            if all.len() > MAX_COMBINATIONS {
                return Err(self.error(Problem::TooManyCombinations, alternative));
            }
        }
        if alternatives.len() < 2 { Err(self.error(Problem::OrSingle, node)) } else { Ok(all) }
    }

    fn field(
        &mut self,
        path: String,
        array: &Node,
        values: &[Node],
        combinations: &mut [Combination],
    ) -> Result<(), InvalidPattern> {
        let tests = tests(array, values).map_err(|Wrong(problem, at)| match at {
            Some(at) => self.error_at(problem, at),
            None => InvalidPattern { problem, place: None },
        })?;
        let spelling = self.text.get(array.range.clone()).unwrap_or_default().into();
        let field = self.fields.len() as u32;
        self.fields.push(Field { path: path.as_str().into(), tests, spelling });
        let new = self.paths.len();
        let path = *self.paths.entry(path).or_insert(new);
        for combination in combinations {
            combination.insert(path, field);
        }
        Ok(())
    }

    fn error(&self, problem: Problem, node: &Node) -> InvalidPattern {
        self.error_at(problem, node.at)
    }

    fn error_at(&self, problem: Problem, at: usize) -> InvalidPattern {
        InvalidPattern { problem, place: Some(Place::new(self.text, at)) }
    }
}
