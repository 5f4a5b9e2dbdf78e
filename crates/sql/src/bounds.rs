//! What keeps a statement from costing more than it is: deep stacks, and limits on what it multiplies.

use std::thread;

use crate::crew;
use crate::error::StatementError;

/// Levels of the parser's recursion; each parenthesis costs a few.
pub(crate) const PARSER_DEPTH: usize = 300;

/// Levels of an expression, chains of AND and OR aside.
pub(crate) const EXPRESSION_DEPTH: usize = 400;

/// Relations after each `WITH` query has been put where it is named.
pub(crate) const RELATIONS: u64 = 200;

/// Columns that wildcards give, counting a store as [`STORE_COLUMNS`].
pub(crate) const COLUMNS: u64 = 4_000;

/// About as many columns as a store has.
pub(crate) const STORE_COLUMNS: u64 = 40;

/// How often a column may stand in an expression once sub-queries are put in place of what they name.
pub(crate) const SUBSTITUTIONS: u64 = 100_000;

/// Calls of functions whose results may be much larger than what they are given.
pub(crate) const GROWING: usize = 64;

/// Stack for parsing and planning, which follow the nesting of the statement. Only what is used becomes memory.
pub(crate) const STACK_BYTES: usize = 64 << 20;

/// Runs `work` on a thread of its own with a deep stack.
pub(crate) fn on_deep_stack<T: Send>(
    work: impl FnOnce() -> Result<T, StatementError> + Send,
) -> Result<T, StatementError> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("sql-plan".to_owned()).stack_size(STACK_BYTES);
        let thread = builder
            .spawn_scoped(scope, || {
                crew::lower_priority();
                work()
            })
            .map_err(|error| StatementError::TooComplex(format!("cannot be planned now: {error}")))?;
        // A panic is a bug of the planner below; the statement is refused and the server lives on.
        thread.join().unwrap_or_else(|_| Err(StatementError::TooComplex("cannot be planned".to_owned())))
    })
}
