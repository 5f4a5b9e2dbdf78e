//! Answers that take long: the head and spaces go out before the answer is known, so that neither the client nor
//! anybody between takes the silence for a broken connection. An error then comes after a status of 200. (API
//! Reference, CompleteMultipartUpload: "Amazon S3 periodically sends white space characters to keep the connection from
//! timing out".)

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use s3s::{Body, StdError};

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;

/// How long to wait for an answer with a status of its own, and between two spaces (choices; clients wait a minute).
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The answer if it comes within [`PATIENCE`]; else one whose body is the answer's as soon as that is known.
pub(crate) async fn kept_alive(mut answer: BoxFuture<'static, Response<Body>>) -> Response<Body> {
    if let Ok(answer) = tokio::time::timeout(PATIENCE, &mut answer).await {
        return answer;
    }
    let frames = stream::unfold(State::Begun(answer), |state| async move {
        let (bytes, next) = match state {
            State::Begun(answer) => (Bytes::from_static(DECLARATION.as_bytes()), State::Waiting(answer)),
            State::Waiting(mut answer) => match tokio::time::timeout(PATIENCE, &mut answer).await {
                Ok(answer) => (document(answer).await, State::Ended),
                Err(_) => (Bytes::from_static(b" "), State::Waiting(answer)),
            },
            State::Ended => return None,
        };
        Some((Ok::<_, StdError>(Frame::data(bytes)), next))
    });
    let mut response = Response::new(Body::http_body_unsync(StreamBody::new(frames)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

enum State {
    Begun(BoxFuture<'static, Response<Body>>),
    Waiting(BoxFuture<'static, Response<Body>>),
    Ended,
}

/// An answer's document without its declaration, which has gone out already.
async fn document(answer: Response<Body>) -> Bytes {
    let Ok(body) = answer.into_body().collect().await else { return Bytes::new() };
    let bytes = body.to_bytes();
    let declared = bytes.starts_with(b"<?xml").then(|| bytes.windows(2).position(|end| end == b"?>")).flatten();
    declared.map_or_else(|| bytes.clone(), |end| bytes.slice(end + 2..))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(after: Duration) -> (u16, Bytes) {
        let answer = async move {
            tokio::time::sleep(after).await;
            let body = r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidPart</Code></Error>"#;
            let mut response = Response::new(Body::from(body.to_owned()));
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
            response
        };
        let response = kept_alive(Box::pin(answer)).await;
        (response.status().as_u16(), response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_keeps_its_connection_alive_and_is_one_document() {
        let (status, body) = answered(PATIENCE * 4 - Duration::from_millis(1)).await;
        assert_eq!(status, 200);
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>  <Error><Code>InvalidPart</Code></Error>"#;
        assert_eq!(body, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_answer_keeps_its_status() {
        let (status, body) = answered(PATIENCE / 2).await;
        assert_eq!(status, 400);
        assert!(body.starts_with(b"<?xml"));
    }
}
