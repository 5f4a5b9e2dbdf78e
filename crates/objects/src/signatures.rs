use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::StoreError;
use crate::durable::is_absence;
use crate::error::At;
use crate::key::path_of;
use crate::sidecar::{Sidecar, Stamp};
use crate::store::OWN_DIRECTORY;

/// The `signature` metadata of the objects whose files are below `directory`, by path relative to it.
///
/// `directory` is a bucket's directory in a store, or one further down; a copy elsewhere has no metadata and gives an
/// empty map. Reads files only, so that it works beside a running server and on a store at rest.
///
/// # Errors
/// When the disk fails or a sidecar is damaged.
pub fn signatures_below(directory: &Path) -> Result<BTreeMap<String, String>, StoreError> {
    let directory = directory.canonicalize().at(directory)?;
    let mut signatures = BTreeMap::new();
    let Some(bucket) = directory.ancestors().find(|path| path.with_file_name(OWN_DIRECTORY).is_dir()) else {
        return Ok(signatures);
    };
    let (Some(root), Some(name)) = (bucket.parent(), bucket.file_name()) else { return Ok(signatures) };
    let sidecars = root.join(OWN_DIRECTORY).join("meta").join(name);
    let shards = match fs::read_dir(&sidecars) {
        Ok(shards) => shards,
        Err(error) if is_absence(&error) => return Ok(signatures),
        Err(error) => return Err(error).at(&sidecars),
    };
    for shard in shards {
        let shard = shard.at(&sidecars)?.path();
        for file in fs::read_dir(&shard).at(&shard)? {
            let Some(sidecar) = Sidecar::read(&file.at(&shard)?.path())? else { continue };
            let place = bucket.join(path_of(&sidecar.key));
            let stamp = fs::metadata(&place).ok().map(|metadata| Stamp::of(&metadata));
            let current = stamp.and_then(|stamp| sidecar.describing(stamp)).or_else(|| sidecar.latest());
            let signature = current.and_then(|version| version.headers.user.get("signature"));
            if let (Ok(relative), Some(signature)) = (place.strip_prefix(&directory), signature) {
                signatures.insert(relative.to_string_lossy().into_owned(), signature.clone());
            }
        }
    }
    Ok(signatures)
}
