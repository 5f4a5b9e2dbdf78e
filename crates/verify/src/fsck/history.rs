//! Checks Event history: the Delta table in `tables/history`, its rows, and both against the journal.

use std::path::Path;

use super::expected::Expected;
use super::journal::Extent;
use super::report::{Notes, relative};
use super::table::{self, Form};
use super::{Cancelled, Pace};

const FORM: Form<'static> = Form {
    what: "Event history",
    app_id: "opentrail-history",
    imported: "",
    account: "account",
    time: "event_time",
    id: "event_id",
    begin: 0,
    owner: None,
    seals: None,
};

/// Checks the table against itself and against what the journal lets one expect.
pub(super) fn check(
    root: &Path,
    journal: Extent,
    expected: &Expected,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), Cancelled> {
    let dir = root.join("tables").join("history");
    let name = relative(root, &dir);
    if !dir.exists() {
        let text = "there is no table of Event history";
        match journal.first {
            0 | 1 => notes.remark(name, format_args!("{text}; the next start makes it from the journal")),
            first => notes.damage(name, format_args!("{text}, and the journal begins only at position {first}")),
        }
        return Ok(());
    }
    let Some(rows) = table::check(root, &dir, FORM, journal, expected, notes, pace)? else { return Ok(()) };
    for ((position, _), found) in expected.records().iter().zip(&rows.found) {
        if *position > rows.position {
            break;
        }
        notes.checked("records compared with the journal", 1);
        if !found {
            notes.damage(
                &name,
                format_args!("the record at position {position} is in the journal, but not in the table"),
            );
        }
    }
    Ok(())
}
