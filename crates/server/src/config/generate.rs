use std::time::Duration;

use http::Uri;
use opentrail_identity::Secret;
use opentrail_model::Region;

use super::reader::Reader;

/// `[generate]`: a language model that makes statements of questions, instead of the embedded generator.
#[derive(Clone, Debug)]
pub(crate) struct GenerateSection {
    /// `generate.endpoint`, `http` or `https`: the URL before `/chat/completions` or `/model/…`.
    pub(crate) endpoint: Uri,
    /// `generate.model`: its name there.
    pub(crate) model: String,
    /// `generate.protocol`, and what it signs or shows.
    pub(crate) protocol: Protocol,
    /// `generate.timeout`: how long one answer may take; there are two at the most. Default 30 s.
    pub(crate) timeout: Duration,
    /// `generate.max_answer_bytes`: the most that an answer may be long. Default 256 KiB.
    pub(crate) max_answer_bytes: u64,
}

/// How the model is asked.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    /// `openai`: chat completions.
    OpenAi {
        /// `generate.api_key`, or what the file `generate.api_key_file` holds; none for a local model.
        api_key: Option<Secret>,
    },
    /// `bedrock`: Bedrock's Converse.
    Bedrock {
        /// `generate.region`: for signing. Default us-east-1.
        region: Region,
        /// `generate.access_key_id`.
        access_key_id: String,
        /// `generate.secret_access_key`.
        secret_access_key: Secret,
        /// `generate.session_token`, of temporary credentials.
        session_token: Option<Secret>,
    },
}

impl GenerateSection {
    /// `None` without the section.
    pub(crate) fn read(root: &mut Reader<'_>) -> Option<Self> {
        if !root.has("generate") {
            return None;
        }
        let mut section = root.section("generate");
        let endpoint = section.required::<Uri>("endpoint", "a URL such as https://api.openai.com/v1");
        if endpoint.as_ref().is_some_and(|uri| !matches!(uri.scheme_str(), Some("http" | "https"))) {
            section.complain("endpoint", "must begin with http:// or https://");
        }
        let model = section.required_text("model");
        if model.as_ref().is_some_and(|model| model.is_empty() || model.len() > 256 || model.contains(char::is_control))
        {
            section.complain("model", "must be a model's name of up to 256 characters");
        }
        let protocol = match section.required_text("protocol").as_deref() {
            Some("openai") => Some(Protocol::OpenAi { api_key: api_key(&mut section) }),
            Some("bedrock") => bedrock(&mut section),
            Some(_) => {
                section.complain("protocol", "must be \"openai\" or \"bedrock\"");
                None
            }
            None => None,
        };
        let timeout = section.duration("timeout", Duration::from_secs(30), Duration::from_millis(100));
        let max_answer_bytes = section.size("max_answer_bytes", 256 << 10, 1 << 10, 16 << 20);
        section.finish();
        Some(Self { endpoint: endpoint?, model: model?, protocol: protocol?, timeout, max_answer_bytes })
    }
}

fn api_key(section: &mut Reader<'_>) -> Option<Secret> {
    let (text, file) = (section.text("api_key"), section.path("api_key_file"));
    match (text, file) {
        (Some(_), Some(_)) => {
            section.complain("api_key_file", "goes without api_key");
            None
        }
        (Some(text), None) => Some(Secret::new(text)),
        (None, Some(file)) => match std::fs::read_to_string(&file) {
            Ok(text) => Some(Secret::new(text.trim())),
            Err(error) => {
                section.complain("api_key_file", format!("{} cannot be read: {error}", file.display()));
                None
            }
        },
        (None, None) => None,
    }
}

fn bedrock(section: &mut Reader<'_>) -> Option<Protocol> {
    let region = section.parsed("region", "a Region such as us-east-1").unwrap_or_else(Region::us_east_1);
    let access_key_id = section.required_text("access_key_id");
    let secret_access_key = section.required_text("secret_access_key").map(Secret::new);
    let session_token = section.text("session_token").map(Secret::new);
    let (access_key_id, secret_access_key) = (access_key_id?, secret_access_key?);
    Some(Protocol::Bedrock { region, access_key_id, secret_access_key, session_token })
}
