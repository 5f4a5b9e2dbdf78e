//! The versions of objects that are not current: their bytes in `objects/.opentrail/versions`, and the names in `hidden`
//! of keys whose current version is a delete marker (`crates/objects/README.md`, "Versions").

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use super::objects::{OWN, Sidecar, Version, children, path_of, read_sidecar, verdict};
use super::report::{Notes, relative};
use super::{Cancelled, Pace};

/// Checks the older versions of one key, whose current file has `current`: size and time of modification.
pub(super) fn check(
    root: &Path,
    store: &Path,
    bucket: &str,
    sidecar: &Sidecar,
    current: Option<(u64, u64)>,
    notes: &mut Notes,
    pace: &Pace,
) -> Result<(), Cancelled> {
    let Some(latest) = latest(&sidecar.versions, current) else { return Ok(()) };
    let own = store.join(OWN);
    if sidecar.versions[latest].marker {
        notes.checked("delete markers", 1);
        let hidden = own.join("hidden").join(bucket).join(path_of(&sidecar.key));
        if !hidden.is_file() {
            let problem = format!("{}: deleted, but listings of versions do not find it", sidecar.key);
            notes.damage(relative(root, &hidden), problem);
        }
    }
    let directory = kept(&own, bucket, &sidecar.key);
    for (at, version) in sidecar.versions[..latest].iter().enumerate() {
        // Of several without an id, the newest has replaced the others.
        let replaced = |later: &Version| later.version.is_none() && version.version.is_none();
        if version.marker || sidecar.versions[at + 1..=latest].iter().any(replaced) {
            continue;
        }
        let path = directory.join(version.modified_ns.to_string());
        notes.checked("older versions", 1);
        if !path.is_file() {
            let id = version.version.as_deref().unwrap_or("null");
            let problem = format!("{}: the bytes of its version {id} are missing", sidecar.key);
            notes.damage(relative(root, &path), problem);
        } else if let Err(problem) = verdict(&path, &[version], pace)? {
            notes.damage(relative(root, &path), problem);
        }
    }
    Ok(())
}

/// The place of the current version in the list: what comes behind it was never put, or is deleted.
fn latest(versions: &[Version], current: Option<(u64, u64)>) -> Option<usize> {
    let Some(current) = current else { return versions.iter().rposition(|version| version.marker) };
    let exact = versions.iter().position(|version| !version.marker && version.stamp() == current);
    // A copied store has other times.
    exact.or_else(|| versions.len().checked_sub(1))
}

/// Tells of bytes that no description names.
pub(super) fn check_strangers(root: &Path, store: &Path, bucket: &str, notes: &mut Notes) {
    let own = store.join(OWN);
    for shard in children(root, &own.join("versions").join(bucket), notes) {
        for directory in children(root, &shard, notes) {
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let meta = own.join("meta").join(bucket).join(&name[..2.min(name.len())]).join(format!("{name}.json"));
            let described = read_sidecar(&meta).map(|sidecar| sidecar.versions).unwrap_or_default();
            for path in children(root, &directory, notes) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !described.iter().any(|version| !version.marker && version.modified_ns.to_string() == name) {
                    // What a crash within the deletion of a version leaves.
                    notes.remark(relative(root, &path), "bytes of a version that no metadata describes");
                }
            }
        }
    }
}

/// The directory of the bytes of a key's older versions.
fn kept(own: &Path, bucket: &str, key: &str) -> PathBuf {
    let name = hex::encode(digest(&SHA256, key.as_bytes()));
    own.join("versions").join(bucket).join(&name[..2]).join(name)
}
