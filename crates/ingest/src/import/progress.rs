use std::time::Duration;

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Log files found so far.
    pub files_found: u64,
    /// Their stored size.
    pub bytes_found: u64,
    /// Whether all files are found.
    pub all_found: bool,
    /// Files that are done: put, failed, or done before.
    pub files_done: u64,
    /// Their stored size.
    pub bytes_done: u64,
    /// Stored bytes of files that were done by an earlier import.
    pub bytes_skipped: u64,
    /// Records that were accepted.
    pub accepted: u64,
    /// Records that were there already.
    pub duplicates: u64,
    /// Records that were refused.
    pub refused: u64,
    /// Since the import began.
    pub elapsed: Duration,
}

impl Progress {
    /// Records per second so far, duplicates included.
    pub fn records_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { (self.accepted + self.duplicates + self.refused) as f64 / seconds } else { 0.0 }
    }

    /// How long the rest takes at the rate so far; `None` before that can be told.
    pub fn remaining(&self) -> Option<Duration> {
        let worked = self.bytes_done.checked_sub(self.bytes_skipped).filter(|worked| *worked > 0)?;
        let left = self.bytes_found.checked_sub(self.bytes_done).filter(|_| self.all_found)?;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * left as f64 / worked as f64).ok()
    }
}
