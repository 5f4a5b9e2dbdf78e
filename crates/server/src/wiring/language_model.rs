//! A language model elsewhere that makes statements of questions: by chat completions, or by Bedrock's Converse.
//!
//! It is told the schema, the dialect and samples; what it answers is a text like any other, and whoever asked checks
//! it.

mod prompt;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Request, header};
use opentrail_generate::{GenerateError, Generator, Question, Refusal};
use opentrail_runtime::Clock;
use opentrail_wire::sigv4::{Credentials, hex_sha256, sign_headers};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::config::{GenerateSection, Protocol};

/// What stays as it is in a model's name within a path. (RFC 3986, unreserved characters.)
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A statement and some words need no more.
const MAX_TOKENS: u32 = 4000;
/// What is told of a refusal.
const MAX_REFUSAL: usize = 500;

/// The model at the configured endpoint.
pub(crate) struct LanguageModel {
    section: GenerateSection,
    url: String,
    authority: String,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl LanguageModel {
    /// # Errors
    /// When the endpoint names no host, or TLS cannot be set up.
    pub(crate) fn new(section: GenerateSection, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let authority = section.endpoint.authority().map(ToString::to_string);
        let authority = authority.ok_or_else(|| anyhow::anyhow!("generate.endpoint names no host"))?;
        let base = section.endpoint.to_string();
        let base = base.trim_end_matches('/');
        let url = match &section.protocol {
            Protocol::OpenAi { .. } => format!("{base}/chat/completions"),
            Protocol::Bedrock { .. } => {
                format!("{base}/model/{}/converse", utf8_percent_encode(&section.model, IN_PATH))
            }
        };
        // Whoever is sent elsewhere would take the key along.
        let redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().timeout(section.timeout).redirect(redirects).build()?;
        Ok(Self { section, url, authority, http, clock })
    }

    fn request(&self, question: &Question<'_>) -> Value {
        let system = prompt::system(question);
        let turns = prompt::turns(question);
        match &self.section.protocol {
            Protocol::OpenAi { .. } => {
                let turn = |(role, text): &(&str, String)| json!({ "role": role, "content": text });
                let first = json!({ "role": "system", "content": system });
                let messages: Vec<Value> = std::iter::once(first).chain(turns.iter().map(turn)).collect();
                json!({ "model": self.section.model, "messages": messages, "stream": false })
            }
            Protocol::Bedrock { .. } => {
                let turn = |(role, text): &(&str, String)| json!({ "role": role, "content": [{ "text": text }] });
                json!({
                    "system": [{ "text": system }],
                    "messages": turns.iter().map(turn).collect::<Vec<Value>>(),
                    "inferenceConfig": { "maxTokens": MAX_TOKENS },
                })
            }
        }
    }

    /// The text of the model's answer.
    async fn ask(&self, question: &Question<'_>) -> Result<String, String> {
        let body = self.request(question).to_string().into_bytes();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.url)
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(());
        let (mut head, ()) = request.map_err(|error| error.to_string())?.into_parts();
        match &self.section.protocol {
            Protocol::OpenAi { api_key: None } => {}
            Protocol::OpenAi { api_key: Some(key) } => {
                let value = header::HeaderValue::try_from(format!("Bearer {}", key.expose()));
                let mut value = value.map_err(|_| "generate.api_key does not fit into a header".to_owned())?;
                value.set_sensitive(true);
                head.headers.insert(header::AUTHORIZATION, value);
            }
            Protocol::Bedrock { region, access_key_id, secret_access_key, session_token } => {
                let credentials = Credentials {
                    access_key_id: access_key_id.clone(),
                    secret: secret_access_key.expose().to_owned(),
                    session_token: session_token.as_ref().map(|token| token.expose().to_owned()),
                };
                let (hash, now) = (hex_sha256(&body), self.clock.now());
                sign_headers(&mut head, &credentials, region.as_str(), "bedrock", &hash, now)
                    .map_err(|error| error.to_string())?;
            }
        }
        let sent = self.http.request(head.method, &self.url).headers(head.headers).body(body).send().await;
        let mut response = sent.map_err(|error| told(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| told(&error))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > self.section.max_answer_bytes {
                return Err("the answer is longer than generate.max_answer_bytes".to_owned());
            }
        }
        if !status.is_success() {
            return Err(format!("the answer is {status}"));
        }
        let answer: Value = serde_json::from_slice(&bytes).map_err(|_| "the answer is no JSON".to_owned())?;
        self.text(&answer).ok_or_else(|| "the answer has no text".to_owned())
    }

    fn text(&self, answer: &Value) -> Option<String> {
        match &self.section.protocol {
            Protocol::OpenAi { .. } => answer["choices"][0]["message"]["content"].as_str().map(str::to_owned),
            Protocol::Bedrock { .. } => {
                // A model that reasons says so in pieces of other kinds.
                let pieces = answer["output"]["message"]["content"].as_array()?;
                let texts: Vec<&str> = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
                (!texts.is_empty()).then(|| texts.concat())
            }
        }
    }
}

#[async_trait]
impl Generator for LanguageModel {
    async fn generate(&self, question: &Question<'_>) -> Result<String, GenerateError> {
        let failed = |reason: String| {
            let reason = format!("{} at {}: {reason}", self.section.model, self.section.endpoint);
            GenerateError::Failed { reason }
        };
        let text = self.ask(question).await.map_err(failed)?;
        match prompt::statement(&text, question.store) {
            Ok(statement) => Ok(format!("-- Made by the model {}: check it.\n{statement}", self.section.model)),
            Err(refusal) => {
                let printable = refusal.chars().filter(|letter| matches!(letter, ' '..='~'));
                let reason: String = printable.take(MAX_REFUSAL).collect();
                Err(Refusal(format!("The question is not answered: {reason}")).into())
            }
        }
    }

    fn learns(&self) -> bool {
        true
    }
}

/// Without the URL, which is told beside it.
fn told(error: &reqwest::Error) -> String {
    match () {
        () if error.is_timeout() => "no answer in time".to_owned(),
        () if error.is_connect() => "no connection".to_owned(),
        () => "the connection broke off".to_owned(),
    }
}

impl fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanguageModel").field("endpoint", &self.section.endpoint).finish_non_exhaustive()
    }
}
