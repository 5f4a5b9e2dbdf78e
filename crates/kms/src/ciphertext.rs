//! A ciphertext as clients hold it: which key and material sealed it, then the sealed bytes.

use opentrail_model::{AccountId, Region};
use uuid::Uuid;

use crate::key::{KeyId, KeyPlace};

const FORMAT: u8 = 1;

/// The part in the clear; it is authenticated with the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) place: KeyPlace,
    /// The number of the key's material, from 0.
    pub(crate) material: u32,
}

impl Header {
    /// `format | account (8) | key id (16) | material (4) | length of the Region's name (1) | its name`.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let KeyPlace { account, region, id } = &self.place;
        let name = region.as_str().as_bytes();
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&account.as_u64().to_be_bytes());
        bytes.extend_from_slice(id.0.as_bytes());
        bytes.extend_from_slice(&self.material.to_be_bytes());
        bytes.push(u8::try_from(name.len()).expect("names of Regions are short"));
        bytes.extend_from_slice(name);
        bytes
    }

    /// The header of `blob`, its bytes, and the sealed ones; `None` when it is no ciphertext of ours.
    pub(crate) fn split(blob: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let (format, rest) = blob.split_first()?;
        let (account, rest) = rest.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (material, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first()?;
        let (name, sealed) = rest.split_at_checked(usize::from(*length))?;
        let region: Region = std::str::from_utf8(name).ok()?.parse().ok()?;
        let account = AccountId::from_u64(u64::from_be_bytes(*account))?;
        let place = KeyPlace { account, region, id: KeyId(Uuid::from_bytes(*id)) };
        let header = Self { place, material: u32::from_be_bytes(*material) };
        let bytes = &blob[..blob.len() - sealed.len()];
        (*format == FORMAT).then_some((header, bytes, sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let place = KeyPlace {
            account: "111122223333".parse().unwrap(),
            region: "eu-central-1".parse().unwrap(),
            id: "1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap(),
        };
        let header = Header { place, material: 7 };
        let blob = [&header.to_bytes()[..], b"sealed"].concat();
        let (read, bytes, sealed) = Header::split(&blob).unwrap();
        assert_eq!((read, bytes, sealed), (header.clone(), &header.to_bytes()[..], &b"sealed"[..]));
        for cut in 0..header.to_bytes().len() {
            assert!(Header::split(&blob[..cut]).is_none(), "cut at {cut}");
        }
        assert!(Header::split(&[&[2], &blob[1..]].concat()).is_none());
    }
}
