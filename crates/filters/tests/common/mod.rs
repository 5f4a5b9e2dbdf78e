//! Real records, and CIS's patterns as they are published.

use std::path::{Path, PathBuf};

/// The patterns of the CIS AWS Foundations Benchmark in all the forms that scanners and Security Hub print, with their
/// numbers, 1 to 15.
pub(crate) fn cis_patterns() -> impl Iterator<Item = (usize, &'static str)> + Clone {
    include_str!("../cis-patterns.txt").lines().map(|line| {
        let (number, pattern) = line.split_once(' ').expect("a number and a pattern");
        (number.parse().expect("a number"), pattern)
    })
}

/// None, with a message, where there are no records.
pub(crate) fn real_records() -> Vec<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("OPENTRAIL_SHARED_DATA").map_or(beside, PathBuf::from);
    let Ok(files) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: no real records in {} (set OPENTRAIL_SHARED_DATA)", dir.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = files
        .map(|file| file.expect("a file of the folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .collect();
    paths.sort();
    let lines = |path| std::fs::read_to_string(path).expect("records").lines().map(str::to_owned).collect::<Vec<_>>();
    paths.into_iter().flat_map(lines).collect()
}
