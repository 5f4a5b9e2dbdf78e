//! Conditions joined by `&&` and `||`.

use crate::cursor::Cursor;
use crate::error::{PatternError, Problem};

/// A condition, or several joined: all of them, or any.
///
/// Every level has at least two members, so that the levels are fewer than the characters of the pattern divided by
/// those of a condition: going down them by recursion is bounded by some two hundred.
#[derive(Clone, Debug)]
pub(crate) enum Expression<C> {
    Is(C),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// Whether conditions may be grouped by parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    Allowed,
    Unknown,
}

/// A group that is being read: alternatives that are complete, and the one that is not.
#[derive(Debug)]
struct Group<C> {
    alternatives: Vec<Expression<C>>,
    members: Vec<Expression<C>>,
    /// Where its parenthesis stands.
    open: usize,
}

impl<C> Expression<C> {
    /// Reads conditions for as long as `&&` or `||` follows. Groups within groups wait on a stack of our own.
    pub(crate) fn parse<'p>(
        cursor: &mut Cursor<'p>,
        groups: Groups,
        mut condition: impl FnMut(&mut Cursor<'p>) -> Result<C, PatternError>,
    ) -> Result<Self, PatternError> {
        let mut outer: Vec<Group<C>> = Vec::new();
        let mut group = Group::at(cursor.at());
        loop {
            cursor.skip_blanks();
            if groups == Groups::Allowed && cursor.rest().starts_with('(') {
                outer.push(std::mem::replace(&mut group, Group::at(cursor.at())));
                cursor.next();
                continue;
            }
            group.members.push(Self::Is(condition(cursor)?));
            loop {
                cursor.skip_blanks();
                if cursor.eat("&&") {
                    break;
                }
                if cursor.eat("||") {
                    group.end_alternative();
                    break;
                }
                let Some(mut around) = outer.pop() else { return Ok(group.end()) };
                if !cursor.eat(")") {
                    let problem = match cursor.peek() {
                        None | Some('}') => Problem::Unclosed { open: '(', close: ')' },
                        Some(found) => return Err(cursor.error(Problem::Surplus { found })),
                    };
                    return Err(cursor.error_at(group.open, problem));
                }
                around.members.push(group.end());
                group = around;
            }
        }
    }

    pub(crate) fn holds(&self, condition: &mut impl FnMut(&C) -> bool) -> bool {
        match self {
            Self::Is(one) => condition(one),
            Self::All(members) => members.iter().all(|member| member.holds(condition)),
            Self::Any(members) => members.iter().any(|member| member.holds(condition)),
        }
    }

    /// Visits every condition.
    pub(crate) fn visit<'e>(&'e self, visitor: &mut impl FnMut(&'e C)) {
        match self {
            Self::Is(one) => visitor(one),
            Self::All(members) | Self::Any(members) => members.iter().for_each(|member| member.visit(visitor)),
        }
    }
}

impl<C> Group<C> {
    fn at(open: usize) -> Self {
        Self { alternatives: Vec::new(), members: Vec::new(), open }
    }

    fn end_alternative(&mut self) {
        let members = std::mem::take(&mut self.members);
        self.alternatives.push(one_or(members, Expression::All));
    }

    fn end(mut self) -> Expression<C> {
        self.end_alternative();
        one_or(self.alternatives, Expression::Any)
    }
}

/// The only member itself, or all of them joined.
fn one_or<C>(mut members: Vec<Expression<C>>, join: fn(Vec<Expression<C>>) -> Expression<C>) -> Expression<C> {
    match members.pop() {
        Some(only) if members.is_empty() => only,
        last => {
            members.extend(last);
            join(members)
        }
    }
}
