use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

const CHUNK: Bytes = Bytes::from_static(&[b'x'; 64 << 10]);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, default_value = "127.0.0.1:9099")]
    listen: SocketAddr,
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    if stream.set_nodelay(true).is_ok() {
        // A client that hangs up is how every connection ends here.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    }
}

/// `GET /bucket/LENGTH` gives so many bytes; what is put is read and thrown away.
async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let response = Response::builder()
        .header("x-amz-request-id", "5R9XG0A6H3Q3E2KB")
        .header("x-amz-id-2", "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4")
        .header("etag", "\"d41d8cd98f00b204e9800998ecf8427e\"")
        .header("server", "AmazonS3");
    let length = match head.method {
        Method::GET => head.uri.path().rsplit('/').next().and_then(|name| name.parse().ok()).unwrap_or(0),
        _ => 0,
    };
    let body = if length <= CHUNK.len() {
        Full::new(CHUNK.slice(..length)).boxed()
    } else {
        let chunks = (0..length.div_ceil(CHUNK.len()))
            .map(move |chunk| Ok(Frame::data(CHUNK.slice(..CHUNK.len().min(length - chunk * CHUNK.len())))));
        StreamBody::new(stream::iter(chunks)).boxed()
    };
    let response = response.header("content-type", "binary/octet-stream").header("content-length", length);
    Ok(response.body(body).expect("the headers are constants"))
}
