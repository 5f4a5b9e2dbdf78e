use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use opentrail_model::Position;
use serde::Serialize;

/// A part of the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// `journal/`: the segments.
    Journal,
    /// `catalog.sqlite`: the file and its documents.
    Catalog,
    /// `tables/history/`: the Delta table of Event history.
    History,
    /// `tables/stores/`: the Delta tables of event data stores.
    Stores,
    /// `objects/`: the embedded store.
    Objects,
    /// Positions of delivery, log files and digests, over all of the above.
    Delivery,
    /// `logs.sqlite`, `metrics.sqlite`, `sns.sqlite`, `events.sqlite`, `findings.sqlite`, `insights.sqlite`.
    Watch,
}

impl Area {
    /// Every area, in the order in which they are checked.
    pub const ALL: [Self; 7] =
        [Self::Journal, Self::Catalog, Self::History, Self::Stores, Self::Objects, Self::Delivery, Self::Watch];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Catalog => "catalog",
            Self::History => "history",
            Self::Stores => "stores",
            Self::Objects => "objects",
            Self::Delivery => "delivery",
            Self::Watch => "watch",
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that is wrong, or worth a remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FsckFinding {
    /// Where it is.
    pub area: Area,
    /// The file, relative to the data directory; for what a document of the catalog says, `catalog.sqlite:` and the
    /// document's kind and key; for an object that should be there, where it would be.
    pub path: String,
    /// The byte of the file at which it begins, where that is known.
    pub offset: Option<u64>,
    /// What it is.
    pub problem: String,
    /// Whether something that was acknowledged or proven may be lost or altered; otherwise it is only a remark, and
    /// the server starts and works with it.
    pub is_damage: bool,
}

/// What was checked in one area, and the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AreaReport {
    /// Which.
    pub area: Area,
    /// How many of what were looked at, e.g. `segments`: 3.
    pub checked: BTreeMap<&'static str, u64>,
    /// Findings that are damage.
    pub damage: u64,
    /// Findings that are remarks.
    pub remarks: u64,
}

/// The verdict on a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    /// The position of the journal's first entry that is kept; `None` when it holds none.
    pub first_position: Option<Position>,
    /// The last position that the journal gave out and still knows of; 0 for one that was never written to.
    pub last_position: Position,
    /// Each area, in the order of [`Area::ALL`].
    pub areas: Vec<AreaReport>,
    /// Everything found, by area, in the order of discovery. Of many in one file the first are listed and the rest is
    /// counted in one last finding.
    pub findings: Vec<FsckFinding>,
}

impl FsckReport {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.areas.iter().all(|area| area.damage == 0)
    }
}

/// As many findings of one path and weight are listed.
const LISTED: u64 = 20;

/// What one area's check writes down.
#[derive(Debug)]
pub(super) struct Notes {
    area: Area,
    checked: BTreeMap<&'static str, u64>,
    findings: Vec<FsckFinding>,
    /// Findings by path and weight, those that are not listed included.
    seen: HashMap<(String, bool), u64>,
}

impl Notes {
    pub(super) fn new(area: Area) -> Self {
        Self { area, checked: BTreeMap::new(), findings: Vec::new(), seen: HashMap::new() }
    }

    /// Counts `number` more of `what` as looked at.
    pub(super) fn checked(&mut self, what: &'static str, number: u64) {
        *self.checked.entry(what).or_default() += number;
    }

    pub(super) fn damage(&mut self, path: impl fmt::Display, problem: impl fmt::Display) {
        self.note(path.to_string(), None, problem.to_string(), true);
    }

    pub(super) fn damage_at(&mut self, path: impl fmt::Display, offset: u64, problem: impl fmt::Display) {
        self.note(path.to_string(), Some(offset), problem.to_string(), true);
    }

    pub(super) fn remark(&mut self, path: impl fmt::Display, problem: impl fmt::Display) {
        self.note(path.to_string(), None, problem.to_string(), false);
    }

    pub(super) fn remark_at(&mut self, path: impl fmt::Display, offset: u64, problem: impl fmt::Display) {
        self.note(path.to_string(), Some(offset), problem.to_string(), false);
    }

    fn note(&mut self, path: String, offset: Option<u64>, problem: String, is_damage: bool) {
        let seen = self.seen.entry((path.clone(), is_damage)).or_default();
        *seen += 1;
        if *seen <= LISTED {
            self.findings.push(FsckFinding { area: self.area, path, offset, problem, is_damage });
        }
    }

    /// The area's report and findings.
    pub(super) fn finish(mut self) -> (AreaReport, Vec<FsckFinding>) {
        let total = |weight: bool| self.seen.iter().filter(|((_, w), _)| *w == weight).map(|(_, n)| n).sum();
        let (damage, remarks) = (total(true), total(false));
        let mut unlisted: Vec<_> = self.seen.into_iter().filter(|(_, seen)| *seen > LISTED).collect();
        unlisted.sort_unstable();
        for ((path, is_damage), seen) in unlisted {
            let problem = format!("{} more such findings are not listed", seen - LISTED);
            self.findings.push(FsckFinding { area: self.area, path, offset: None, problem, is_damage });
        }
        (AreaReport { area: self.area, checked: self.checked, damage, remarks }, self.findings)
    }
}

/// How findings name a file of the data directory: relative to it, `/` between the parts.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_findings_of_one_file_are_counted_and_few_are_listed() {
        let mut notes = Notes::new(Area::Journal);
        for offset in 0..1_000 {
            notes.damage_at("a", offset, "bad");
        }
        notes.remark("a", "odd");
        let (report, findings) = notes.finish();
        assert_eq!((report.damage, report.remarks), (1_000, 1));
        assert_eq!(findings.len(), 22);
        assert_eq!(findings[21].problem, "980 more such findings are not listed");
    }
}
