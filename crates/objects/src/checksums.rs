//! The checksums that S3 clients send and expect back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// A checksum algorithm of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "CRC32")]
    Crc32,
    #[serde(rename = "CRC32C")]
    Crc32c,
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// S3's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Self, StoreError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let reason = format!("{name} is no checksum algorithm; use CRC32, CRC32C, CRC64NVME, SHA1 or SHA256");
            StoreError::Invalid { reason }
        })
    }

    /// The header, or trailer, that carries it.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    fn crc(self) -> Option<(CrcAlgorithm, usize)> {
        match self {
            Self::Crc32 => Some((CrcAlgorithm::Crc32IsoHdlc, 4)),
            Self::Crc32c => Some((CrcAlgorithm::Crc32Iscsi, 4)),
            Self::Crc64Nvme => Some((CrcAlgorithm::Crc64Nvme, 8)),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// What a multipart upload's checksum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    #[serde(rename = "FULL_OBJECT")]
    FullObject,
    #[serde(rename = "COMPOSITE")]
    Composite,
}

impl Scope {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// An object's checksum: base64, and for a composite one with `-` and the number of parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) value: String,
    pub(crate) scope: Scope,
}

impl Checksum {
    pub(crate) fn to_dto(&self) -> dto::Checksum {
        let mut sums = dto::Checksum::default();
        let value = Some(self.value.clone());
        match self.algorithm {
            Algorithm::Crc32 => sums.checksum_crc32 = value,
            Algorithm::Crc32c => sums.checksum_crc32c = value,
            Algorithm::Crc64Nvme => sums.checksum_crc64nvme = value,
            Algorithm::Sha1 => sums.checksum_sha1 = value,
            Algorithm::Sha256 => sums.checksum_sha256 = value,
        }
        sums.checksum_type = Some(dto::ChecksumType::from_static(self.scope.name()));
        sums
    }
}

/// Sums bytes as they pass: MD5 for the ETag, and the wanted checksums.
pub(crate) struct Summer {
    md5: Md5,
    wanted: ChecksumHasher,
}

impl Summer {
    pub(crate) fn new(wanted: &[Algorithm]) -> Self {
        let mut hasher = ChecksumHasher::default();
        for algorithm in wanted {
            match algorithm {
                Algorithm::Crc32 => hasher.crc32 = Some(Default::default()),
                Algorithm::Crc32c => hasher.crc32c = Some(Default::default()),
                Algorithm::Crc64Nvme => hasher.crc64nvme = Some(Default::default()),
                Algorithm::Sha1 => hasher.sha1 = Some(Default::default()),
                Algorithm::Sha256 => hasher.sha256 = Some(Default::default()),
            }
        }
        Self { md5: Md5::new(), wanted: hasher }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.wanted.update(bytes);
    }

    /// The MD5 and the checksums.
    pub(crate) fn finish(self) -> ([u8; 16], Vec<Checksum>) {
        let sums = self.wanted.finalize();
        let values = [
            (Algorithm::Crc32, sums.checksum_crc32),
            (Algorithm::Crc32c, sums.checksum_crc32c),
            (Algorithm::Crc64Nvme, sums.checksum_crc64nvme),
            (Algorithm::Sha1, sums.checksum_sha1),
            (Algorithm::Sha256, sums.checksum_sha256),
        ];
        let checksum = |(algorithm, value): (_, Option<_>)| {
            value.map(|value| Checksum { algorithm, value, scope: Scope::FullObject })
        };
        (self.md5.finalize(), values.into_iter().filter_map(checksum).collect())
    }
}

/// A part's checksum and size, for [`combine`].
pub(crate) struct Summed<'a> {
    pub(crate) checksum: &'a Checksum,
    pub(crate) size: u64,
}

/// The checksum of an object made of `parts`, without reading them again.
///
/// Composite: the checksum of the parts' checksums. Full object: what the checksum of all bytes in a row would be,
/// which only CRCs allow. (S3 User Guide, "Checking object integrity".)
pub(crate) fn combine(algorithm: Algorithm, scope: Scope, parts: &[Summed<'_>]) -> Option<Checksum> {
    let raw = parts.iter().map(|part| BASE64.decode(&part.checksum.value).ok()).collect::<Option<Vec<_>>>()?;
    let value = match (scope, algorithm.crc()) {
        (Scope::Composite, _) => {
            let mut summer = Summer::new(&[algorithm]);
            raw.iter().for_each(|sum| summer.update(sum));
            format!("{}-{}", summer.finish().1.pop()?.value, parts.len())
        }
        (Scope::FullObject, Some((crc, width))) => {
            let number = |sum: &[u8]| sum.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            let mut sums = raw.iter().zip(parts);
            let first = sums.next().map(|(sum, _)| number(sum))?;
            let whole =
                sums.fold(first, |whole, (sum, part)| crc_fast::checksum_combine(crc, whole, number(sum), part.size));
            BASE64.encode(&whole.to_be_bytes()[8 - width..])
        }
        (Scope::FullObject, None) => return None,
    };
    Some(Checksum { algorithm, value, scope })
}

/// Refuses bytes whose sum is not the declared one.
pub(crate) fn require_equal(algorithm: &'static str, declared: &str, found: &str) -> Result<(), StoreError> {
    if declared == found {
        return Ok(());
    }
    Err(StoreError::BadDigest { algorithm, declared: declared.to_owned(), found: found.to_owned() })
}

/// An MD5 as `Content-MD5` spells it.
pub(crate) fn content_md5(md5: &[u8; 16]) -> String {
    BASE64.encode(md5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
        let mut summer = Summer::new(&[algorithm]);
        summer.update(bytes);
        summer.finish().1.pop().unwrap()
    }

    #[test]
    fn combined_crcs_are_those_of_the_whole() {
        let (head, tail) = (vec![7u8; 100_000], vec![9u8; 12_345]);
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (a, b) = (sum(algorithm, &head), sum(algorithm, &tail));
            let parts = [Summed { checksum: &a, size: 100_000 }, Summed { checksum: &b, size: 12_345 }];
            let whole = combine(algorithm, Scope::FullObject, &parts).unwrap();
            assert_eq!(whole, sum(algorithm, &[head.clone(), tail.clone()].concat()), "{}", algorithm.name());
        }
    }

    #[test]
    fn known_sums() {
        assert_eq!(sum(Algorithm::Crc32, b"123456789").value, BASE64.encode(0xcbf4_3926u32.to_be_bytes()));
        assert_eq!(sum(Algorithm::Crc32c, b"123456789").value, BASE64.encode(0xe306_9283u32.to_be_bytes()));
        assert_eq!(
            sum(Algorithm::Crc64Nvme, b"123456789").value,
            BASE64.encode(0xae8b_1486_0a79_9888u64.to_be_bytes())
        );
    }
}
