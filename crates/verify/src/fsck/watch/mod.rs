//! The files of Watch: what each holds fits together, and its positions lie in the journal.
//!
//! | module | file |
//! |---|---|
//! | `tables` | what must not be found in each file, as statements of SQL |
//! | `chunks` | the chunks of log events in `logs.sqlite` |

mod chunks;
mod tables;

use std::path::Path;

use sqlx::sqlite::SqliteConnection;

use self::tables::{FILES, Positions, Table};
use super::journal::Extent;
use super::report::Notes;
use super::{FsckError, Pace, sqlite};

/// Checks each file that is there. A server makes all of them at its first start.
pub(super) async fn check(root: &Path, extent: Extent, notes: &mut Notes, pace: &Pace) -> Result<(), FsckError> {
    let is_there = |table: &&Table| root.join(table.file).exists();
    let any = FILES.iter().any(|table| is_there(&table));
    let mut known = Counted::default();
    for table in FILES {
        if !is_there(&table) {
            if any && let Some(lost) = table.lost {
                notes.damage(table.file, format_args!("the file is missing: {lost}"));
            }
            continue;
        }
        let Some(mut file) = sqlite::open(root, table.file, notes).await? else { continue };
        notes.checked("files", 1);
        if let Err(error) = check_file(&mut file.connection, table, extent, &mut known, notes, pace).await {
            sqlite::unreadable(table.file, &error, notes);
        }
    }
    Ok(())
}

/// What files count by themselves, where another file has a position in it.
#[derive(Debug, Default)]
struct Counted {
    /// The last sequence number of `logs.sqlite`.
    chunks: Option<u64>,
    /// The last number of a finding.
    findings: Option<u64>,
}

async fn check_file(
    connection: &mut SqliteConnection,
    table: &Table,
    extent: Extent,
    known: &mut Counted,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), sqlx::Error> {
    for (what, statement) in table.counted {
        let number: i64 = sqlx::query_scalar(*statement).fetch_one(&mut *connection).await?;
        notes.checked(what, u64::try_from(number).unwrap_or_default());
    }
    for statement in table.wrong {
        for problem in sqlx::query_scalar::<_, String>(*statement).fetch_all(&mut *connection).await? {
            notes.damage(table.file, problem);
        }
    }
    for Positions { statement, what } in table.positions {
        let found: Vec<(String, i64)> = sqlx::query_as(*statement).fetch_all(&mut *connection).await?;
        for (name, position) in found {
            let (path, position) = (format!("{}:{name}", table.file), u64::try_from(position).unwrap_or_default());
            match what {
                tables::Of::ToBeRead => extent.check_position(position, path, notes),
                tables::Of::Reached => extent.check_reached(position, path, notes),
                tables::Of::Chunks => check_number(position / 2, known.chunks, "chunk", path, notes),
                tables::Of::Findings => check_number(position, known.findings, "finding", path, notes),
            }
        }
    }
    match table.file {
        tables::LOGS => known.chunks = chunks::check(connection, notes, pace).await?,
        tables::FINDINGS => known.findings = Some(tables::last_finding(connection).await?),
        _ => {}
    }
    Ok(())
}

/// A position that is a number of another file, or of this one.
fn check_number(position: u64, last: Option<u64>, what: &str, path: String, notes: &mut Notes) {
    let Some(last) = last else { return };
    notes.checked("positions", 1);
    if position > last {
        notes.damage(path, format_args!("its position is {what} {position}, and the last there was is {last}"));
    }
}
