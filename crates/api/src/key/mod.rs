//! Operations on the keys that sign digests.

mod list_public_keys;

pub(crate) use list_public_keys::list_public_keys;
