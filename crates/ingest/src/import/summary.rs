use crate::Report;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files put to their end.
    pub files: u64,
    /// Files that an earlier import had put.
    pub files_done_before: u64,
    /// Digest files, which hold no records.
    pub digest_files: u64,
    /// Files whose name does not end as a log file's.
    pub other_files: u64,
    /// Records that are durable now.
    pub accepted: u64,
    /// Records that were there already.
    pub duplicates: u64,
    /// Records that were refused.
    pub refused_count: u64,
    /// The first of them, at most [`MAX_NAMED`](Self::MAX_NAMED).
    pub refused: Vec<RefusedRecord>,
    /// Files that were not put to their end; importing again tries them again.
    pub failed_count: u64,
    /// The first of them, at most [`MAX_NAMED`](Self::MAX_NAMED).
    pub failed: Vec<FailedFile>,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// A record that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// The file that it is in.
    pub file: String,
    /// Which one, counted from 0.
    pub index: u64,
    /// Why.
    pub reason: String,
}

/// A file that was not put to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedFile {
    /// Which one.
    pub file: String,
    /// Why.
    pub reason: String,
}

impl Summary {
    /// The most records and files that are named.
    pub const MAX_NAMED: usize = 1000;

    pub(super) fn add(&mut self, file: &str, report: Report) {
        self.files += 1;
        self.accepted += report.accepted;
        self.duplicates += report.duplicates;
        self.refused_count += report.refused_count;
        let room = Self::MAX_NAMED - self.refused.len();
        self.refused.extend(report.refused.into_iter().take(room).map(|refused| RefusedRecord {
            file: file.to_owned(),
            index: refused.index,
            reason: refused.reason,
        }));
    }

    pub(super) fn fail(&mut self, file: &str, reason: String) {
        self.failed_count += 1;
        if self.failed.len() < Self::MAX_NAMED {
            self.failed.push(FailedFile { file: file.to_owned(), reason });
        }
    }
}
