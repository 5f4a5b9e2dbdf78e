//! Whether what was followed is known as taken: the catalog must have seen every mark that the journal has let go.

use super::catalog::{Documents, FILE};
use super::journal::Extent;
use super::report::Notes;

pub(super) fn check(extent: Extent, documents: &Documents, notes: &mut Notes) {
    let Some(seen) = documents.followed else { return };
    let name = format!("{FILE}:follow-fold/position");
    if seen > extent.last {
        let last = extent.last;
        notes.damage(&name, format_args!("marks were seen through position {seen}, and the journal ends at {last}"));
    }
    if seen.saturating_add(1) < extent.first {
        let (next, last) = (seen + 1, extent.first - 1);
        notes.damage(&name, format_args!("entries {next} to {last} were let go unseen: files may be taken twice"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsck::Area;

    #[test]
    fn marks_that_nobody_saw_are_damage() {
        let findings = |first, last, seen| {
            let documents = Documents { followed: seen, ..Documents::default() };
            let mut notes = Notes::new(Area::Catalog);
            check(Extent { first, last }, &documents, &mut notes);
            notes.finish().1.len()
        };
        for (seen, expected) in [(None, 0), (Some(9), 0), (Some(10), 0), (Some(20), 0), (Some(21), 1), (Some(8), 1)] {
            assert_eq!(findings(10, 20, seen), expected, "{seen:?}");
        }
        assert_eq!(findings(1, 0, Some(0)), 0, "a journal that has nothing yet");
    }
}
