use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use opentrail_wire::sigv4::Sha256;

/// Pieces below this size are copied together: a body in very many of them takes little more memory than its bytes.
const SMALL: usize = 4 << 10;
const TOGETHER: usize = 64 << 10;

/// A whole body, in the pieces in which it came. They are hashed as they come, while the client sends the next.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) pieces: Vec<Bytes>,
    pub(super) sha256: [u8; 32],
}

/// Reads a body to its end.
///
/// # Errors
/// The body's own, or `http_body_util::LengthLimitError` when it has more than `limit` bytes.
pub(super) async fn gather<B>(body: B, limit: usize) -> Result<Gathered, Box<dyn std::error::Error + Send + Sync>>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let mut body = std::pin::pin!(Limited::new(body, limit));
    let (mut pieces, mut small, mut hash) = (Vec::new(), BytesMut::new(), Sha256::default());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        hash.update(&data);
        if data.len() < SMALL {
            small.extend_from_slice(&data);
        }
        if !small.is_empty() && (data.len() >= SMALL || small.len() >= TOGETHER) {
            pieces.push(small.split().freeze());
        }
        if data.len() >= SMALL {
            pieces.push(data);
        }
    }
    if !small.is_empty() {
        pieces.push(small.freeze());
    }
    Ok(Gathered { pieces, sha256: hash.finish() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{LengthLimitError, StreamBody};
    use hyper::body::Frame;
    use opentrail_wire::sigv4::sha256;

    use super::*;

    fn body(pieces: Vec<Vec<u8>>) -> impl Body<Data = Bytes, Error = Infallible> {
        StreamBody::new(futures::stream::iter(pieces.into_iter().map(|piece| Ok(Frame::data(piece.into())))))
    }

    #[tokio::test]
    async fn a_body_is_the_same_however_it_comes_and_small_pieces_are_put_together() {
        for sizes in [vec![], vec![5; 40_000], vec![10_000, 1, 2, 10_000, 3], vec![0, SMALL - 1, SMALL, 1]] {
            let sent: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, size)| vec![n as u8; *size]).collect();
            let gathered = gather(body(sent.clone()), 1 << 20).await.unwrap();
            let whole = sent.concat();
            assert_eq!(gathered.pieces.concat(), whole);
            assert_eq!(gathered.sha256, sha256(&whole));
            assert!(gathered.pieces.len() <= 1 + whole.len() / SMALL * 2, "{} pieces", gathered.pieces.len());
        }
    }

    #[tokio::test]
    async fn a_body_above_its_limit_is_refused() {
        assert!(gather(body(vec![vec![1; 10]]), 10).await.is_ok());
        let refused = gather(body(vec![vec![1; 10], vec![2]]), 10).await.unwrap_err();
        assert!(refused.is::<LengthLimitError>());
    }
}
