use std::io::{self, BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::bufread::GzDecoder;

use crate::report::Problem;

/// Checks a log file's content against the hash that a digest lists. Returns its uncompressed size.
pub(crate) fn check(bytes: &[u8], expected_hash: &str) -> Result<u64, Problem> {
    let invalid = |error: io::Error| Problem::InvalidFormat { reason: error.to_string() };
    let mut decoder = GzDecoder::new(bytes);
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let n = decoder.read(&mut buffer).map_err(invalid)?;
        if n == 0 {
            break;
        }
        context.update(&buffer[..n]);
        size += n as u64;
    }
    if !decoder.into_inner().fill_buf().map_err(invalid)?.is_empty() {
        return Err(Problem::TrailingData);
    }
    if hex::encode(context.finish()) == expected_hash { Ok(size) } else { Err(Problem::HashMismatch) }
}
