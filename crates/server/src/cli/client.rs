//! The commands' way to a running server: the environment's AWS credentials, signed requests.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use http::{Method, Request};
use ini::Ini;
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore};
use opentrail_model::{Region, Timestamp};
use opentrail_runtime::{Clock, SystemClock};
use opentrail_verify::PublicKeys;
use opentrail_wire::sigv4::{Credentials, sign_headers};
use serde_json::{Value, json};

const NO_CREDENTIALS: &str = "no AWS credentials found; set AWS_SHARED_CREDENTIALS_FILE to the server's credentials \
     file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

/// The credentials that the AWS CLI would use: the environment's, else the profile's of the shared file.
pub(super) fn credentials() -> anyhow::Result<Credentials> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let (Some(access_key_id), Some(secret_access_key)) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    {
        let session_token = variable("AWS_SESSION_TOKEN");
        return Ok(Credentials { access_key_id, secret: secret_access_key, session_token });
    }
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
    let file = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or(home).context(NO_CREDENTIALS)?;
    let ini = Ini::load_from_file(&file).with_context(|| format!("{}: {NO_CREDENTIALS}", file.display()))?;
    let profile = variable("AWS_PROFILE").unwrap_or_else(|| "default".into());
    let section =
        ini.section(Some(&profile)).with_context(|| format!("{} has no profile [{profile}]", file.display()))?;
    let key = |name: &str| section.get(name).map(str::to_owned);
    let (Some(access_key_id), Some(secret_access_key)) = (key("aws_access_key_id"), key("aws_secret_access_key"))
    else {
        bail!("profile [{profile}] of {} has no access key", file.display());
    };
    Ok(Credentials { access_key_id, secret: secret_access_key, session_token: key("aws_session_token") })
}

/// The public keys in files of what `aws cloudtrail list-public-keys` prints.
pub(super) fn public_keys_in(files: &[PathBuf]) -> anyhow::Result<PublicKeys> {
    let mut keys = PublicKeys::default();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        keys.extend(PublicKeys::from_json(&text).with_context(|| file.display().to_string())?);
    }
    Ok(keys)
}

/// The endpoint: the option, else `AWS_ENDPOINT_URL`.
pub(super) fn endpoint(option: Option<&str>) -> Option<String> {
    let variable = std::env::var("AWS_ENDPOINT_URL").ok().filter(|value| !value.is_empty());
    option.map(str::to_owned).or(variable).map(|url| url.trim_end_matches('/').to_owned())
}

/// A running server, spoken to as the AWS CLI does.
#[derive(Debug)]
pub(super) struct Server {
    endpoint: String,
    credentials: Credentials,
    http: reqwest::Client,
}

impl Server {
    pub(super) fn at(endpoint: String) -> anyhow::Result<Self> {
        Ok(Self { endpoint, credentials: credentials()?, http: reqwest::Client::builder().build()? })
    }

    /// Sends a request that is signed as one to CloudTrail; the answer whatever its status.
    pub(super) async fn send(
        &self,
        method: Method,
        region: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: reqwest::Body,
        payload_hash: &str,
    ) -> anyhow::Result<reqwest::Response> {
        self.send_to("cloudtrail", method, region, path, headers, body, payload_hash).await
    }

    #[expect(clippy::too_many_arguments, reason = "what a signed request is made of")]
    async fn send_to(
        &self,
        service: &str,
        method: Method,
        region: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: reqwest::Body,
        payload_hash: &str,
    ) -> anyhow::Result<reqwest::Response> {
        let url = format!("{}{path}", self.endpoint);
        let authority = url.parse::<http::Uri>()?.authority().context("the endpoint names no host")?.to_string();
        let mut request = Request::builder().method(method).uri(&url).header(http::header::HOST, authority);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(())?.into_parts();
        sign_headers(&mut head, &self.credentials, region, service, payload_hash, SystemClock.now())?;
        let response = self.http.request(head.method, &url).headers(head.headers).body(body).send().await;
        response.with_context(|| format!("no answer from {}; is the server running?", self.endpoint))
    }

    /// Calls an operation of CloudTrail.
    pub(super) async fn call(&self, region: &str, operation: &str, input: &Value) -> anyhow::Result<Value> {
        let target = format!("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.{operation}");
        self.json(region, "cloudtrail", "1.1", &target, input).await
    }

    /// Calls an operation of the API of Sigma rules and findings.
    pub(super) async fn sigma(
        &self,
        region: &str,
        operation: opentrail_sigma::Operation,
        input: &Value,
    ) -> anyhow::Result<Value> {
        let body = serde_json::to_vec(input)?;
        let hash = hex::encode(opentrail_wire::sigv4::sha256(&body));
        let headers = [("content-type", "application/json")];
        let answer = self.send(Method::POST, region, operation.path(), &headers, body.into(), &hash).await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{} failed: {}", operation.name(), error_text(&text));
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Calls an operation of a service that speaks awsJson of that version.
    pub(super) async fn json(
        &self,
        region: &str,
        service: &str,
        version: &str,
        target: &str,
        input: &Value,
    ) -> anyhow::Result<Value> {
        let body = serde_json::to_vec(input)?;
        let kind = format!("application/x-amz-json-{version}");
        let headers = [("content-type", kind.as_str()), ("x-amz-target", target)];
        let hash = hex::encode(opentrail_wire::sigv4::sha256(&body));
        let response = self.send_to(service, Method::POST, region, "/", &headers, body.into(), &hash).await?;
        let (status, text) = (response.status(), response.text().await?);
        if !status.is_success() {
            let operation = target.rsplit('.').next().unwrap_or_default();
            bail!("{operation} failed: {}", error_text(&text));
        }
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    /// Makes the topic of that name, or finds it; its ARN.
    pub(super) async fn create_topic(&self, region: &str, name: &str) -> anyhow::Result<String> {
        let body = format!("Action=CreateTopic&Version=2010-03-31&Name={name}");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let hash = hex::encode(opentrail_wire::sigv4::sha256(body.as_bytes()));
        let response = self.send_to("sns", Method::POST, region, "/", &headers, body.into(), &hash).await?;
        let text = response.text().await?;
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            Some(rest.split_once('<')?.0.to_owned())
        };
        element("TopicArn")
            .with_context(|| format!("CreateTopic failed: {}", element("Message").unwrap_or_else(|| text.clone())))
    }

    /// Every public key of `region` that was valid between `start` and `end`.
    pub(super) async fn public_keys(
        &self,
        region: &Region,
        start: Timestamp,
        end: Timestamp,
    ) -> anyhow::Result<PublicKeys> {
        let input = json!({"StartTime": start.as_secs(), "EndTime": end.as_secs()});
        let answer = self.call(region.as_str(), "ListPublicKeys", &input).await?;
        Ok(PublicKeys::from_json(&answer.to_string())?)
    }
}

/// The event data stores of ListEventDataStores, all pages.
pub(super) async fn event_data_stores(server: &Server, region: &Region) -> anyhow::Result<Vec<Value>> {
    let (mut stores, mut input) = (Vec::new(), json!({}));
    loop {
        let mut answer = server.call(region.as_str(), "ListEventDataStores", &input).await?;
        if let Value::Array(page) = answer["EventDataStores"].take() {
            stores.extend(page);
        }
        match &answer["NextToken"] {
            Value::String(token) => input = json!({ "NextToken": token }),
            _ => return Ok(stores),
        }
    }
}

/// A bucket at `endpoint` (AWS's own when there is none), with the environment's credentials.
pub(super) fn s3(bucket: &str, endpoint: Option<&str>, region: &Region) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let credentials = credentials()?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.as_str())
        .with_access_key_id(credentials.access_key_id)
        .with_secret_access_key(credentials.secret);
    if let Some(token) = credentials.session_token {
        builder = builder.with_token(token);
    }
    if let Some(endpoint) = endpoint {
        let plain = endpoint.starts_with("http://");
        builder = builder
            .with_endpoint(endpoint)
            .with_virtual_hosted_style_request(false)
            .with_client_options(ClientOptions::new().with_allow_http(plain));
    }
    Ok(Arc::new(builder.build()?))
}

/// What an error answer says, in one line.
pub(super) fn error_text(body: &str) -> String {
    let Ok(error) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    let message = error["Message"].as_str().or(error["message"].as_str()).unwrap_or_default();
    // REST answers name the error in a header.
    error["__type"].as_str().map_or_else(|| message.to_owned(), |name| format!("{name}: {message}"))
}
