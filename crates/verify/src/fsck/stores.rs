//! Checks event data stores: their documents, and the Delta table of each in `tables/stores`, against the journal.
//!
//! That every event that a store's selectors take is there is not checked: the settings that held at each position are not
//! kept. What is there must be the journal's, once, and of the store's account unless the store was ever one of an organization.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use opentrail_model::Region;

use super::catalog::{Documents, FILE};
use super::expected::Expected;
use super::journal::Extent;
use super::report::{Notes, relative};
use super::table::{self, Form, Seals};
use super::{Cancelled, Pace};
use crate::seals::Keys;

/// Checks the stores' tables against the documents, themselves and the journal.
pub(super) fn check(
    root: &Path,
    documents: &Documents,
    journal: Extent,
    expected: &Expected,
    keys: &Result<Keys, String>,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), Cancelled> {
    let tables = root.join("tables").join("stores");
    for key in documents.stores.keys().filter(|key| !documents.tables.contains_key(*key)) {
        let document = format!("{FILE}:event-data-stores/{key}");
        notes.remark(document, "the store has no table yet; the next start makes it");
    }
    for (key, state) in &documents.tables {
        notes.checked("tables", 1);
        let document = format!("{FILE}:store-tables/{key}");
        let mut parts = key.split('/');
        let (Some(account), Some(region), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            notes.damage(document, "its key names no store");
            continue;
        };
        if state.begin > journal.last {
            let (begin, last) = (state.begin, journal.last);
            notes.damage(&document, format_args!("the table begins after {begin}, but the journal ends at {last}"));
        }
        let dir = tables.join(id);
        if state.dropped {
            notes.remark(document, "the store is gone, and the next start removes what is left of its table");
            continue;
        }
        if !documents.stores.contains_key(key) {
            notes.remark(&document, "the table's store is gone; the next start removes the table, too");
        }
        if !dir.exists() {
            let text = "there is no table of the store";
            if state.begin.saturating_add(1) >= journal.first {
                notes.remark(document, format_args!("{text}; the next start makes it from the journal"));
            } else {
                notes.damage(document, format_args!("{text}, and the journal begins only at {}", journal.first));
            }
            continue;
        }
        let partition = region.parse::<Region>().map_or("aws", |region| region.partition());
        let arn = format!("arn:{partition}:cloudtrail:{region}:{account}:eventdatastore/{id}");
        let form = Form {
            what: "an event data store",
            app_id: "opentrail-store",
            imported: "opentrail-imported",
            account: "recipientaccountid",
            time: "eventtime",
            id: "eventid",
            begin: state.begin,
            owner: documents.stores.get(key).filter(|store| !store.shared_once).map(|_| account),
            seals: Some(Seals { arn: &arn, keys }),
        };
        let found = table::check(root, &dir, form, journal, expected, notes, pace)?;
        if let Some(found) = found {
            check_imports(documents, key, &found.applications, notes);
        }
    }
    let known: BTreeSet<&str> = documents.tables.keys().filter_map(|key| key.rsplit('/').next()).collect();
    for entry in fs::read_dir(&tables).into_iter().flatten().flatten() {
        if documents.readable && !known.contains(&*entry.file_name().to_string_lossy()) {
            notes.remark(relative(root, &entry.path()), "the table of no store");
        }
    }
    Ok(())
}

/// Compares how far the imports into a store are by their documents with what its table says.
fn check_imports(documents: &Documents, store: &str, applications: &BTreeMap<String, i64>, notes: &mut Notes) {
    for (key, import) in documents.imports.iter().filter(|(_, import)| import.destination.to_string() == store) {
        notes.checked("imports", 1);
        let id = key.rsplit('/').next().unwrap_or_default();
        let landed = applications.get(&format!("opentrail-import/{id}")).copied().unwrap_or_default();
        let settled = import.progress.chunk;
        // What was intended may have come to the table before a crash.
        let intended = import.intent.as_ref().map_or(settled, |intent| intent.progress.chunk);
        if i64::try_from(settled) != Ok(landed) && i64::try_from(intended) != Ok(landed) {
            let document = format!("{FILE}:imports/{key}");
            notes.damage(document, format_args!("{settled} chunks of the import are done, and the table has {landed}"));
        }
    }
}
