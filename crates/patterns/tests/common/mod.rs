//! Real records, and the envelopes of their events.

use std::path::{Path, PathBuf};

use opentrail_patterns::Event;

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

/// The event of a record, in its parts.
pub(crate) fn event<'e>(source: &'e str, record: &'e str) -> Event<'e> {
    Event::Enveloped {
        id: "12345678-1234-1234-1234-123456789012",
        detail_type: "AWS API Call via CloudTrail",
        source,
        account: "111122223333",
        time: "2026-01-02T03:04:05Z",
        region: "us-east-1",
        resources: &["arn:aws:s3:::one", "arn:aws:s3:::two"],
        detail: record.as_bytes(),
    }
}
