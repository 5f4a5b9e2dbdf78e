//! A connection to a server, and requests signed as the AWS CLI signs them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use ini::Ini;
use opentrail_runtime::{Clock, SystemClock};
use opentrail_wire::sigv4::{Credentials, hex_sha256, sign_headers};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::records::REGION;

/// One HTTP/1.1 connection, kept open.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
}

impl Connection {
    /// To `http://host:port`.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let authority = url.trim_end_matches('/').strip_prefix("http://").context("the bench speaks plain http://")?;
        let stream = TcpStream::connect(authority).await.with_context(|| format!("nothing listens at {url}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: authority.to_owned() })
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends a request as it is and reads the whole answer; with `keep` its body is returned, else only counted.
    pub async fn send(&mut self, request: Request<Full<Bytes>>, keep: Keep) -> anyhow::Result<Answer> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = response.into_body();
        let (mut kept, mut length) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                length += data.len();
                if keep == Keep::Body || !status.is_success() {
                    kept.extend_from_slice(&data);
                }
            }
        }
        if !status.is_success() {
            bail!("answered {status}: {}", String::from_utf8_lossy(&kept));
        }
        Ok(Answer { status, headers, body: kept, length })
    }
}

/// Whether an answer's body is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Body,
    Length,
}

/// A good answer.
#[derive(Debug)]
pub struct Answer {
    #[expect(dead_code, reason = "for a reader of the debug form")]
    pub status: StatusCode,
    #[expect(dead_code, reason = "for a reader of the debug form")]
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub length: usize,
}

/// A running OpenTrail server.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    #[arg(long, env = "AWS_ENDPOINT_URL", default_value = "http://127.0.0.1:4590")]
    pub endpoint_url: String,
    /// The credentials file that the server wrote.
    #[arg(long, env = "AWS_SHARED_CREDENTIALS_FILE", default_value = "opentrail-data/credentials")]
    pub credentials: PathBuf,
}

/// A connection to an OpenTrail server.
#[derive(Debug)]
pub struct Server {
    connection: Connection,
    credentials: Credentials,
}

impl Server {
    pub async fn connect(args: &ServerArgs) -> anyhow::Result<Self> {
        let credentials = credentials(&args.credentials)?;
        Ok(Self { connection: Connection::open(&args.endpoint_url).await?, credentials })
    }

    /// Puts newline-separated records.
    pub async fn put(&mut self, body: Bytes) -> anyhow::Result<Value> {
        self.post("/v1/records", &[("content-type", "application/x-ndjson")], body).await
    }

    pub async fn lookup(&mut self, input: &Value) -> anyhow::Result<Value> {
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.post("/", &headers, serde_json::to_vec(input)?.into()).await
    }

    async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: Bytes) -> anyhow::Result<Value> {
        let mut request = Request::builder().method(Method::POST).uri(path);
        request = request.header(http::header::HOST, self.connection.authority());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(())?.into_parts();
        let hash = hex_sha256(&body);
        sign_headers(&mut head, &self.credentials, REGION, "cloudtrail", &hash, SystemClock.now())?;
        let answer = self.connection.send(Request::from_parts(head, Full::new(body)), Keep::Body).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

fn credentials(file: &Path) -> anyhow::Result<Credentials> {
    let ini = Ini::load_from_file(file).with_context(|| format!("{}: no credentials", file.display()))?;
    let section = ini.section(Some("default")).context("the credentials have no profile [default]")?;
    let key = |name: &str| section.get(name).map(str::to_owned).with_context(|| format!("no {name}"));
    Ok(Credentials {
        access_key_id: key("aws_access_key_id")?,
        secret: key("aws_secret_access_key")?,
        session_token: None,
    })
}
