//! Serves a directory to S3 clients with one fixed key, to try the store by hand:
//! `cargo run -p opentrail-objects --example serve -- /tmp/objects 127.0.0.1:9000`.

use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentrail_model::AccountId;
use opentrail_objects::{Access, Denied, NoSecret, S3Call, Store, service};
use opentrail_runtime::{OnError, Shutdown, SystemClock, TaskGroup};

/// One caller, who may do everything.
struct Anything;

impl Access for Anything {
    fn secret(&self, access_key_id: &str, session_token: Option<&str>) -> Result<String, NoSecret> {
        let known = access_key_id == "AKIDEXAMPLE" && session_token.is_none();
        known.then(|| "secret".to_owned()).ok_or(NoSecret::UnknownKey)
    }

    fn check(&self, _: &S3Call<'_>) -> Result<AccountId, Denied> {
        AccountId::from_u64(100_000_000_001).ok_or_else(|| Denied { message: "no such account".to_owned() })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "objects".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9000".to_owned());
    let store = Store::open(Path::new(&directory), Arc::new(SystemClock))?;
    let service = service(store, Arc::new(Anything), &["localhost".to_owned()])?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{} serves {directory}; key AKIDEXAMPLE, secret \"secret\"", listener.local_addr()?);
    let tasks = TaskGroup::new(Shutdown::new());
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tasks.spawn("connection", OnError::Log, async move {
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
        });
    }
}
