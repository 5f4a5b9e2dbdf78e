//! Uploads in parts.
//!
//! An upload is a directory: `upload.json`, and for each part `<number>.json` naming the file with its bytes. The JSON
//! is renamed into place last, so a part is there whole or not at all, and one sent again replaces the one before.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use opentrail_model::{AccountId, Timestamp};
use opentrail_runtime::{CrashPoint, Random, SystemRandom};
use s3s::crypto::{Checksum as _, Md5};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::backend::READ_BYTES;
use crate::checksums::{Algorithm, Checksum, Scope, Summed, combine, require_equal};
use crate::condition::Conditions;
use crate::durable::{Scratch, is_absence};
use crate::error::At;
use crate::locks::Lock;
use crate::sealing::{Readable, Seal, SealedKey};
use crate::sidecar::{Description, Headers};
use crate::staging::{NewKey, Staged, Writer};
use crate::store::{Details, Repeat, Store, check_key};

/// All parts but the last have at least so many bytes. (S3 User Guide, "Amazon S3 multipart upload limits".)
const SMALLEST_PART_BYTES: u64 = 5 << 20;

/// The largest number a part may have. (Same page.)
pub(crate) const MOST_PARTS: i32 = 10_000;

/// What was said when the upload was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) initiated: Timestamp,
    pub(crate) initiator: AccountId,
    pub(crate) headers: Headers,
    /// The checksum that the object is to have.
    pub(crate) checksum: Option<(Algorithm, Scope)>,
    /// What the object is to be kept by.
    #[serde(default)]
    pub(crate) lock: Lock,
    /// The data key of its parts and of the object, if they are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seal: Option<SealedKey>,
}

/// What is said when an upload is created.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) headers: Headers,
    pub(crate) checksum: Option<(Algorithm, Scope)>,
    pub(crate) lock: Lock,
    pub(crate) seal: Option<SealedKey>,
}

/// What is said when it is completed.
#[derive(Default)]
pub(crate) struct Completion {
    pub(crate) named: Vec<Named>,
    pub(crate) expected: Expected,
    pub(crate) conditions: Conditions,
    /// The upload's data key, if its parts are sealed.
    pub(crate) key: Option<NewKey>,
}

/// A part that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) number: i32,
    /// The file with its bytes, in the upload's directory.
    file: String,
    pub(crate) size: u64,
    /// Its MD5 in hexadecimal.
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) modified: Timestamp,
}

/// A part as the completion names it.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) number: i32,
    /// Without quotes.
    pub(crate) etag: Option<String>,
    pub(crate) checksum: Option<String>,
}

/// What the completion says of the whole.
#[derive(Default)]
pub(crate) struct Expected {
    pub(crate) size: Option<u64>,
    /// Algorithm and base64.
    pub(crate) checksum: Option<(Algorithm, String)>,
}

impl Store {
    /// Creates an upload.
    pub(crate) fn create_upload(
        &self,
        bucket: &str,
        key: &str,
        initiator: AccountId,
        wishes: Wishes,
    ) -> Result<Upload, StoreError> {
        check_key(key)?;
        // A bucket is not deleted while this is held, nor afterwards while it has an upload.
        let buckets = self.inner.buckets.read();
        if !buckets.contains_key(bucket) {
            return Err(crate::store::no_such_bucket(bucket));
        }
        let id = SystemRandom.text(b"abcdefghijklmnopqrstuvwxyz0123456789", 48);
        let initiated = self.inner.clock.now();
        let Wishes { headers, checksum, lock, seal } = wishes;
        let upload = Upload { id, key: key.to_owned(), initiated, initiator, headers, checksum, lock, seal };
        let directory = self.inner.uploads(bucket).join(&upload.id);
        self.inner.scratch.create_dirs(&directory).at(&directory)?;
        self.write_json(&directory.join("upload.json"), &upload)?;
        Ok(upload)
    }

    /// The upload and its directory.
    fn upload_directory(&self, bucket: &str, key: &str, id: &str) -> Result<(PathBuf, Upload), StoreError> {
        self.require_bucket(bucket)?;
        let gone = || StoreError::NoSuchUpload { upload: id.to_owned() };
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(gone());
        }
        let directory = self.inner.uploads(bucket).join(id);
        let upload: Upload = read_json(&directory.join("upload.json"))?.ok_or_else(gone)?;
        if upload.key == key { Ok((directory, upload)) } else { Err(gone()) }
    }

    pub(crate) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, StoreError> {
        self.upload_directory(bucket, key, id).map(|(_, upload)| upload)
    }

    /// Makes `staged` part `number`, durably, in place of the one before. Its last checksum is kept.
    pub(crate) fn put_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: i32,
        mut staged: Staged,
    ) -> Result<Part, StoreError> {
        let _alone = self.inner.upload_lock(bucket, id).lock();
        let (directory, _) = self.upload_directory(bucket, key, id)?;
        let document = directory.join(format!("{number:05}.json"));
        let before: Option<Part> = read_json(&document)?;
        let file = format!("{number:05}-{}", SystemRandom.uuid().simple());
        let place = directory.join(&file);
        staged.unseen.sync().at(&place)?;
        staged.unseen.rename(&place).at(&place)?;
        CrashPoint::ObjectsPartPlaced.reach();
        let part = Part {
            number,
            file,
            size: staged.plain,
            // Of sealed parts as of sealed objects: it says nothing of what is in them.
            etag: hex::encode(staged.stored_md5),
            checksum: staged.checksums.pop(),
            modified: self.inner.clock.now(),
        };
        // Syncs the directory too, and with it the name of the bytes.
        self.write_json(&document, &part)?;
        if let Some(before) = before {
            // What stays is removed with the upload.
            let _ = self.inner.scratch.remove(&directory.join(before.file));
        }
        Ok(part)
    }

    /// The parts that are there, by number.
    pub(crate) fn parts(&self, bucket: &str, key: &str, id: &str) -> Result<(Upload, Vec<Part>), StoreError> {
        let (directory, upload) = self.upload_directory(bucket, key, id)?;
        let mut parts: Vec<Part> = Vec::new();
        for path in paths_in(&directory)? {
            let is_part = path.extension().is_some_and(|ext| ext == "json") && !path.ends_with("upload.json");
            if is_part {
                parts.extend(read_json::<Part>(&path)?);
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok((upload, parts))
    }

    /// Unfinished uploads, by key and then by age.
    pub(crate) fn uploads(&self, bucket: &str) -> Result<Vec<Upload>, StoreError> {
        self.require_bucket(bucket)?;
        let directory = self.inner.uploads(bucket);
        let mut uploads: Vec<Upload> = Vec::new();
        for path in paths_in(&directory)? {
            uploads.extend(read_json::<Upload>(&path.join("upload.json"))?);
        }
        uploads.sort_by(|a, b| (&a.key, a.initiated, &a.id).cmp(&(&b.key, b.initiated, &b.id)));
        Ok(uploads)
    }

    /// Removes an upload and its parts.
    pub(crate) fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), StoreError> {
        let _alone = self.inner.upload_lock(bucket, id).lock();
        let (directory, _) = self.upload_directory(bucket, key, id)?;
        remove_upload(&self.inner.scratch, &directory)
    }

    /// Makes the named parts one object. Blocks while their bytes are copied.
    ///
    /// Repeated after it succeeded, it succeeds again as long as the object is the one it made.
    pub(crate) fn complete_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        completion: Completion,
    ) -> Result<Description, StoreError> {
        let Completion { named, expected, conditions, key: data_key } = completion;
        let _alone = self.inner.upload_lock(bucket, id).lock();
        let (directory, upload) = match self.upload_directory(bucket, key, id) {
            Err(StoreError::NoSuchUpload { upload }) => {
                let made = self.open_object(bucket, key).ok().map(|(_, description)| description);
                return made
                    .filter(|description| description.upload.as_deref() == Some(id))
                    .ok_or(StoreError::NoSuchUpload { upload });
            }
            found => found?,
        };
        let parts = chosen_parts(&self.parts(bucket, key, id)?.1, &named)?;
        let size: u64 = parts.iter().map(|part| part.size).sum();
        if expected.size.is_some_and(|expected| expected != size) {
            let reason = format!("the parts have {size} bytes, not what x-amz-mp-object-size says");
            return Err(StoreError::Invalid { reason });
        }
        let checksum = whole_checksum(&upload, &parts);
        if let (Some((algorithm, declared)), Some(found)) = (&expected.checksum, &checksum) {
            // Clients send composite sums with or without the number of parts.
            let found = found.value.split('-').next().unwrap_or_default();
            let declared = declared.split('-').next().unwrap_or_default();
            require_equal(algorithm.name(), declared, found)?;
        }

        let mut summer = Md5::new();
        for part in &parts {
            // An ETag that is no hexadecimal was not written by `put_part`.
            summer.update(&hex::decode(&part.etag).unwrap_or_default());
        }
        let staged = match (upload.seal, data_key) {
            (None, _) => self.joined(&directory, &parts)?,
            (Some(_), Some(data_key)) => self.sealed_anew(&directory, &parts, data_key)?,
            // Created between the two looks at it, which the client had no id for.
            (Some(_), None) => return Err(StoreError::NoSuchUpload { upload: id.to_owned() }),
        };
        let details = Details {
            etag: format!("{}-{}", hex::encode(summer.finalize()), parts.len()),
            checksum,
            headers: upload.headers,
            upload: Some(upload.id),
            parts: parts.iter().map(|part| part.size).collect(),
            lock: upload.lock,
            repeat: Repeat::NewVersion,
        };
        let description = self.put(bucket, key, staged, details, &conditions)?;
        CrashPoint::ObjectsCompleted.reach();
        // A crash before this leaves the upload beside the object; completing or aborting it again removes it.
        if let Err(error) = remove_upload(&self.inner.scratch, &directory) {
            tracing::warn!(error = %error, "parts of a completed upload stay");
        }
        Ok(description)
    }

    /// The bytes of `parts` in one file.
    fn joined(&self, directory: &Path, parts: &[Part]) -> Result<Staged, StoreError> {
        let unseen = self.inner.scratch.create().at(directory)?;
        for part in parts {
            let path = directory.join(&part.file);
            let mut source = File::open(&path).at(&path)?;
            let copied = unseen.append(&mut source).at(&path)?;
            if copied != part.size {
                let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the part's file is shorter than it was");
                return Err(cut).at(&path);
            }
        }
        unseen.sync().at(directory)?;
        let size = parts.iter().map(|part| part.size).sum();
        let (md5, checksums) = ([0; 16], Vec::new());
        Ok(Staged { unseen, size, plain: size, md5, stored_md5: md5, checksums, seal: None })
    }

    /// The bytes of sealed `parts` in one file, sealed with the same data key.
    fn sealed_anew(&self, directory: &Path, parts: &[Part], data_key: NewKey) -> Result<Staged, StoreError> {
        let unseen = self.inner.scratch.create().at(directory)?;
        let (material, key) = (data_key.0.clone(), data_key.1.clone());
        let mut writer = Writer::sealing(unseen, data_key);
        for part in parts {
            let path = directory.join(&part.file);
            let file = File::open(&path).at(&path)?;
            let seal = Seal { key: key.clone(), plain_bytes: part.size, stored_md5: None, bound: None };
            let mut readable = Readable::sealed(self, file, &seal, &material)?;
            let mut at = 0;
            while at < part.size {
                let (next, piece) = readable.read_piece(self, at..part.size, READ_BYTES)?;
                (readable, at) = (next, at + piece.len() as u64);
                writer.write(&[piece]).at(&path)?;
            }
        }
        let staged = writer.finish().at(directory)?;
        staged.unseen.sync().at(directory)?;
        Ok(staged)
    }

    /// Copies `range` of an object into a file of its own, summed.
    pub(crate) fn stage_copy(
        &self,
        mut source: File,
        range: std::ops::Range<u64>,
        wanted: &[Algorithm],
    ) -> Result<Staged, StoreError> {
        use std::io::{Read, Write};
        let path = self.inner.root.as_path();
        let mut unseen = self.inner.scratch.create().at(path)?;
        let mut summer = crate::checksums::Summer::new(wanted);
        source.seek(SeekFrom::Start(range.start)).at(path)?;
        let mut left = range.end - range.start;
        let mut block = vec![0; 1 << 20];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            let count = source.read(&mut block[..most]).at(path)?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).at(path);
            }
            summer.update(&block[..count]);
            unseen.write_all(&block[..count]).at(path)?;
            left -= count as u64;
        }
        unseen.sync().at(path)?;
        let (md5, checksums) = summer.finish();
        let size = range.end - range.start;
        Ok(Staged { unseen, size, plain: size, md5, stored_md5: md5, checksums, seal: None })
    }

    fn write_json<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(value).expect("these documents have only strings for keys");
        self.inner.scratch.replace(path, &bytes).at(path)
    }
}

fn chosen_parts(there: &[Part], named: &[Named]) -> Result<Vec<Part>, StoreError> {
    if named.is_empty() {
        return Err(StoreError::Invalid { reason: "name at least one part".to_owned() });
    }
    if !named.is_sorted_by(|a, b| a.number < b.number) {
        return Err(StoreError::InvalidPartOrder);
    }
    let mut chosen = Vec::with_capacity(named.len());
    for (index, name) in named.iter().enumerate() {
        let missing = StoreError::InvalidPart { part: name.number };
        let part = there.iter().find(|part| part.number == name.number);
        let Some(part) = part.filter(|part| name.etag.as_ref() == Some(&part.etag)) else { return Err(missing) };
        if let (Some(declared), Some(found)) = (&name.checksum, &part.checksum)
            && *declared != found.value
        {
            return Err(missing);
        }
        if part.size < SMALLEST_PART_BYTES && index + 1 < named.len() {
            return Err(StoreError::PartTooSmall { part: part.number, size: part.size });
        }
        chosen.push(part.clone());
    }
    Ok(chosen)
}

fn whole_checksum(upload: &Upload, parts: &[Part]) -> Option<Checksum> {
    let (algorithm, scope) = upload.checksum?;
    let summed: Option<Vec<Summed<'_>>> = parts
        .iter()
        .map(|part| {
            let checksum = part.checksum.as_ref().filter(|checksum| checksum.algorithm == algorithm)?;
            Some(Summed { checksum, size: part.size })
        })
        .collect();
    combine(algorithm, scope, &summed?)
}

/// Removes the document first: without it there is no upload, whatever a crash leaves of the rest.
fn remove_upload(scratch: &Scratch, directory: &Path) -> Result<(), StoreError> {
    scratch.remove_durably(&directory.join("upload.json")).at(directory)?;
    scratch.remove_tree(directory).at(directory)
}

/// Removes what a crash left of a bucket's uploads: directories that are no upload (any more), bytes that are no part's.
pub(crate) fn sweep_uploads(scratch: &Scratch, uploads: &Path) -> Result<(), StoreError> {
    for directory in paths_in(uploads)? {
        if !directory.join("upload.json").exists() {
            scratch.remove_tree(&directory).at(&directory)?;
            continue;
        }
        let (documents, files): (Vec<_>, Vec<_>) =
            paths_in(&directory)?.into_iter().partition(|path| path.extension().is_some_and(|ext| ext == "json"));
        let mut named = HashSet::new();
        for document in documents.iter().filter(|path| !path.ends_with("upload.json")) {
            named.extend(read_json::<Part>(document)?.map(|part| directory.join(part.file)));
        }
        for file in files.iter().filter(|file| !named.contains(*file)) {
            scratch.remove(file).at(file)?;
        }
    }
    Ok(())
}

/// What is in a directory; nothing when there is none.
pub(crate) fn paths_in(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(directory) {
        Err(error) if is_absence(&error) => Ok(Vec::new()),
        found => found.and_then(|found| found.map(|entry| Ok(entry?.path())).collect()).at(directory),
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StoreError::Damaged { path: path.to_owned(), source }),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error).at(path),
    }
}
