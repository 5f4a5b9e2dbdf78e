//! Request bodies that come compressed, as SDKs send those of operations with the trait `requestCompression`.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::CodedError;

/// The body as the client meant it, of `limit` bytes at most; one without `Content-Encoding: gzip` is left as it is.
///
/// # Errors
/// `MalformedInput` for what is no gzip, or is longer than `limit` when decompressed, of which no more is decompressed.
pub fn decoded(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<Bytes, CodedError> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| {
        // `aws-chunked` says how the body was signed, not how it is compressed.
        value
            .to_str()
            .unwrap_or("?")
            .split(',')
            .map(str::trim)
            .filter(|one| !matches!(*one, "" | "identity" | "aws-chunked"))
    });
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(body.clone()),
        (Some(one), None) if one.eq_ignore_ascii_case("gzip") => gunzip(body, limit),
        _ => Err(CodedError::malformed("the only Content-Encoding that is understood is gzip, once")),
    }
}

fn gunzip(body: &[u8], limit: usize) -> Result<Bytes, CodedError> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(4).min(limit));
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(bound).read_to_end(&mut out);
    match read {
        Ok(_) if out.len() > limit => {
            Err(CodedError::malformed(format!("the request body has more than {limit} bytes when decompressed")))
        }
        Ok(_) => Ok(out.into()),
        Err(_) => Err(CodedError::malformed("the request body is not the gzip that its Content-Encoding says")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zipped(content: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap().into()
    }

    fn gzip() -> HeaderMap {
        [(CONTENT_ENCODING, "gzip".parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_compressed_body_is_what_was_compressed() {
        assert_eq!(decoded(&gzip(), &zipped(b"a=b"), 3).unwrap(), "a=b");
        assert_eq!(decoded(&HeaderMap::new(), &Bytes::from("a=b"), 3).unwrap(), "a=b");
    }

    #[test]
    fn bombs_and_what_is_no_gzip_are_refused() {
        let bomb = zipped(&vec![0; 10_000_000]);
        assert!(bomb.len() < 20_000);
        let told = decoded(&gzip(), &bomb, 1_000_000).unwrap_err();
        assert!(told.message.contains("more than 1000000 bytes"), "{told}");
        assert_eq!(decoded(&gzip(), &Bytes::from("a=b"), 100).unwrap_err().code, "MalformedInput");
        let mut cut = zipped(b"abcdefgh").to_vec();
        cut.truncate(12);
        assert!(decoded(&gzip(), &cut.into(), 100).is_err());
        let other = [(CONTENT_ENCODING, "br".parse().unwrap())].into_iter().collect();
        assert!(decoded(&other, &Bytes::from("a"), 100).is_err());
    }
}
