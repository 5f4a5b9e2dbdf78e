//! A real client over a real connection: the `AmazonS3` of the crate `object_store`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::Method;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, UpdateVersion,
};
use opentrail_runtime::{OnError, Shutdown, TaskGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{self, Call, Fixture, KEY_ID, SECRET, fixture};

/// A fixture that listens.
struct Listening {
    fixture: Fixture,
    endpoint: String,
    _tasks: TaskGroup,
}

async fn listening() -> Listening {
    listening_with(Duration::from_secs(30)).await
}

async fn listening_with(patience: Duration) -> Listening {
    let fixture = fixture();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let tasks = TaskGroup::new(Shutdown::new());
    let service = fixture.service.clone().with_patience(patience);
    let connections = tasks.clone();
    tasks.spawn("listener", OnError::Log, async move {
        loop {
            let (stream, _) = listener.accept().await?;
            let service = TowerToHyperService::new(service.clone());
            connections.spawn("connection", OnError::Log, async move {
                Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
            });
        }
        #[expect(unreachable_code, reason = "names the type of the loop's error")]
        Ok::<(), std::io::Error>(())
    });
    Listening { fixture, endpoint, _tasks: tasks }
}

impl Listening {
    fn client(&self, change: impl FnOnce(AmazonS3Builder) -> AmazonS3Builder) -> AmazonS3 {
        let builder = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("logs")
            .with_access_key_id(KEY_ID)
            .with_secret_access_key(SECRET)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        change(builder).build().unwrap()
    }
}

fn some_bytes(count: usize) -> Bytes {
    (0..count).map(|at| (at * 31 % 251) as u8).collect::<Vec<_>>().into()
}

async fn keys(client: &AmazonS3, prefix: &str) -> Vec<String> {
    let found: Vec<_> = client.list(Some(&Path::from(prefix))).try_collect().await.unwrap();
    found.into_iter().map(|meta| meta.location.to_string()).collect()
}

#[tokio::test]
async fn objects_round_trip_signed_unsigned_and_summed() {
    let server = listening().await;
    let clients = [
        server.client(|builder| builder),
        server.client(|builder| builder.with_unsigned_payload(true)),
        server.client(|builder| builder.with_checksum_algorithm(Checksum::SHA256)),
    ];
    for client in clients {
        for (key, size) in [("empty", 0), ("a b/ü+%.json.gz", 10), ("large.bin", 3_000_000)] {
            let (key, bytes) = (Path::from(key), some_bytes(size));
            let put = client.put(&key, PutPayload::from(bytes.clone())).await.unwrap();
            let got = client.get(&key).await.unwrap();
            assert_eq!(got.meta.e_tag, put.e_tag);
            assert_eq!(got.bytes().await.unwrap(), bytes);
            assert_eq!(client.head(&key).await.unwrap().size, size as u64);
            client.delete(&key).await.unwrap();
            assert!(matches!(client.head(&key).await, Err(Error::NotFound { .. })));
            client.delete(&key).await.unwrap();
        }
    }
}

#[tokio::test]
async fn attributes_are_kept() {
    let server = listening().await;
    let client = server.client(|builder| builder);
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "application/json"),
        (Attribute::ContentEncoding, "gzip"),
        (Attribute::CacheControl, "no-store"),
        (Attribute::ContentDisposition, "attachment"),
        (Attribute::ContentLanguage, "en"),
        (Attribute::Metadata("signature".into()), "0a1b2c"),
    ]);
    let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
    client.put_opts(&Path::from("x"), PutPayload::from("x"), options).await.unwrap();
    assert_eq!(client.get(&Path::from("x")).await.unwrap().attributes, attributes);
    let inside = server.fixture.store.object_store("logs");
    assert_eq!(inside.get(&Path::from("x")).await.unwrap().attributes, attributes);
    client.copy(&Path::from("x"), &Path::from("y")).await.unwrap();
    assert_eq!(client.get(&Path::from("y")).await.unwrap().attributes, attributes);
}

#[tokio::test]
async fn ranges_are_cut_out() {
    let server = listening().await;
    let client = server.client(|builder| builder);
    let (key, bytes) = (Path::from("x.bin"), some_bytes(1000));
    client.put(&key, PutPayload::from(bytes.clone())).await.unwrap();
    for (range, expected) in [
        (GetRange::Bounded(10..20), 10..20),
        (GetRange::Bounded(990..2000), 990..1000),
        (GetRange::Offset(900), 900..1000),
        (GetRange::Suffix(100), 900..1000),
        (GetRange::Suffix(5000), 0..1000),
    ] {
        let options = GetOptions { range: Some(range.clone()), ..GetOptions::default() };
        let got = client.get_opts(&key, options).await.unwrap();
        assert_eq!(got.range, expected.start as u64..expected.end as u64, "{range:?}");
        assert_eq!(got.bytes().await.unwrap(), bytes.slice(expected));
    }
    let behind = GetOptions { range: Some(GetRange::Offset(1000)), ..GetOptions::default() };
    assert!(client.get_opts(&key, behind).await.is_err());
}

#[tokio::test]
async fn conditions_hold() {
    let server = listening().await;
    let client = server.client(|builder| builder);
    let key = Path::from("lease.json");
    let mode = |mode| PutOptions { mode, ..PutOptions::default() };
    let first = client.put_opts(&key, PutPayload::from("1"), mode(PutMode::Create)).await.unwrap();
    let again = client.put_opts(&key, PutPayload::from("2"), mode(PutMode::Create)).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    let version = || UpdateVersion { e_tag: first.e_tag.clone(), version: None };
    client.put_opts(&key, PutPayload::from("3"), mode(PutMode::Update(version()))).await.unwrap();
    let late = client.put_opts(&key, PutPayload::from("4"), mode(PutMode::Update(version()))).await;
    assert!(matches!(late, Err(Error::Precondition { .. })), "{late:?}");

    let meta = client.head(&key).await.unwrap();
    let same = GetOptions { if_none_match: meta.e_tag.clone(), ..GetOptions::default() };
    assert!(matches!(client.get_opts(&key, same).await, Err(Error::NotModified { .. })));
    let other = GetOptions { if_match: first.e_tag, ..GetOptions::default() };
    assert!(matches!(client.get_opts(&key, other).await, Err(Error::Precondition { .. })));
    let unmodified = GetOptions { if_modified_since: Some(meta.last_modified), ..GetOptions::default() };
    assert!(matches!(client.get_opts(&key, unmodified).await, Err(Error::NotModified { .. })));
    assert_eq!(&client.get(&key).await.unwrap().bytes().await.unwrap()[..], b"3");
}

#[tokio::test]
async fn of_many_writers_one_creates_the_object() {
    let server = listening().await;
    let client = Arc::new(server.client(|builder| builder));
    let puts = (0..8).map(|writer: u8| {
        let client = Arc::clone(&client);
        async move {
            let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let done = client.put_opts(&Path::from("one"), PutPayload::from(vec![writer]), create).await;
            (writer, done)
        }
    });
    let done: Vec<_> = futures::stream::iter(puts).buffer_unordered(8).collect().await;
    let created: Vec<u8> = done.iter().filter(|(_, result)| result.is_ok()).map(|(writer, _)| *writer).collect();
    assert_eq!(created.len(), 1, "{done:?}");
    assert_eq!(client.get(&Path::from("one")).await.unwrap().bytes().await.unwrap()[..], created);
}

#[tokio::test]
async fn listings_are_paged_in_order() {
    let server = listening().await;
    let client = server.client(|builder| builder);
    let inside = server.fixture.store.object_store("logs");
    let mut expected: Vec<String> = (0..1100).map(|number| format!("many/{number:04}.gz")).collect();
    let puts = expected.iter().map(|key| {
        let (inside, key) = (Arc::clone(&inside), Path::from(key.as_str()));
        async move { inside.put(&key, PutPayload::new()).await }
    });
    futures::stream::iter(puts).buffer_unordered(64).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(keys(&client, "many").await, expected);
    let offset: Vec<_> = client.list_with_offset(None, &Path::from("many/1000.gz")).try_collect().await.unwrap();
    assert_eq!(offset.len(), 99);
    for key in ["many-", "many0", "other/deep/x"] {
        client.put(&Path::from(key), PutPayload::from("x")).await.unwrap();
    }
    let listed = client.list_with_delimiter(None).await.unwrap();
    assert_eq!(listed.common_prefixes, [Path::from("many"), Path::from("other")]);
    assert_eq!(listed.objects.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["many-", "many0"]);
    let deleted: Vec<_> = expected.drain(..).map(|key| Ok(Path::from(key))).collect();
    let deleted: Vec<_> = client.delete_stream(futures::stream::iter(deleted).boxed()).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 1100);
    assert_eq!(keys(&client, "many").await, Vec::<String>::new());
}

#[tokio::test]
async fn uploads_in_parts_are_put_together_or_aborted() {
    let server = listening().await;
    let client = server.client(|builder| builder.with_checksum_algorithm(Checksum::SHA256));
    let (key, part) = (Path::from("large.bin"), some_bytes(5 << 20));
    let attributes = Attributes::from_iter([(Attribute::Metadata("signature".into()), "0a")]);
    let options = PutMultipartOptions { attributes: attributes.clone(), ..PutMultipartOptions::default() };
    let mut upload = client.put_multipart_opts(&key, options).await.unwrap();
    let parts = [part.clone(), part.clone(), some_bytes(17)];
    let sent = parts.iter().map(|part| upload.put_part(PutPayload::from(part.clone()))).collect::<Vec<_>>();
    futures::future::try_join_all(sent).await.unwrap();
    assert!(matches!(client.head(&key).await, Err(Error::NotFound { .. })));
    let done = upload.complete().await.unwrap();
    assert!(done.e_tag.unwrap().ends_with("-3\""));
    let got = client.get(&key).await.unwrap();
    assert_eq!(got.attributes.get(&Attribute::Metadata("signature".into())), attributes.iter().next().map(|(_, v)| v));
    assert_eq!(got.bytes().await.unwrap(), Bytes::from(parts.concat()));

    let mut upload = client.put_multipart(&Path::from("never")).await.unwrap();
    upload.put_part(PutPayload::from(part)).await.unwrap();
    upload.abort().await.unwrap();
    assert!(matches!(client.head(&Path::from("never")).await, Err(Error::NotFound { .. })));
    let uploads = server.fixture.directory.path().join(".opentrail/uploads/logs");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}

#[tokio::test]
async fn presigned_urls_of_a_client_are_taken() {
    let server = listening().await;
    let client = server.client(|builder| builder);
    client.put(&Path::from("a b.txt"), PutPayload::from("hello")).await.unwrap();
    let url = client.signed_url(Method::GET, &Path::from("a b.txt"), Duration::from_secs(60)).await.unwrap();
    let host = server.endpoint.trim_start_matches("http://");
    let headers = http::HeaderMap::from_iter([(http::header::HOST, host.parse().unwrap())]);
    let uri = format!("{}?{}", url.path(), url.query().unwrap());
    let answer = server.fixture.send_as_is(&Method::GET, &uri, headers, "").await;
    assert_eq!(&answer.body[..], b"hello");
}

#[tokio::test]
async fn the_connection_of_a_client_that_hangs_is_closed() {
    let server = listening_with(Duration::from_millis(30)).await;
    let call = Call::new(Method::PUT, "/logs/x", b"hello world");
    let (headers, _) = support::Signer::default().headers(&call);
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    let request = format!("PUT /logs/x HTTP/1.1\r\n{lines}content-length: 11\r\n\r\nhello");
    let mut stream = tokio::net::TcpStream::connect(server.endpoint.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
}
