use http::header::AUTHORIZATION;
use http::request::Parts;

use super::parse::{authorization_fields, query_parameter};
use super::{ALGORITHM, SignatureError, TERMINATOR};

/// Which key a request claims to be signed with, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The access key, e.g. `AKIAIOSFODNN7EXAMPLE`.
    pub access_key_id: String,
    /// The day in UTC, `yyyymmdd`.
    pub date: String,
    /// The Region, e.g. `us-east-1`.
    pub region: String,
    /// The service's signing name, e.g. `cloudtrail`.
    pub service: String,
}

impl Credential {
    /// `date/region/service/aws4_request`.
    pub fn scope(&self) -> String {
        let Self { date, region, service, .. } = self;
        format!("{date}/{region}/{service}/{TERMINATOR}")
    }

    /// Reads `key/date/region/service/aws4_request`.
    pub(super) fn parse(text: &str) -> Result<Self, SignatureError> {
        // From the right: an access key may hold slashes, the other parts do not.
        let mut parts = text.rsplitn(5, '/');
        let (terminator, service, region, date, access_key_id) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(terminator), Some(service), Some(region), Some(date), Some(access_key_id)) =
            (terminator, service, region, date, access_key_id)
        else {
            return Err(SignatureError::MalformedCredential { given: text.to_owned() });
        };
        if access_key_id.is_empty() {
            return Err(SignatureError::MalformedCredential { given: text.to_owned() });
        }
        if terminator != TERMINATOR {
            return Err(SignatureError::WrongTerminator { given: terminator.to_owned() });
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

/// The credential that a request names, read without judging anything: enough to choose a service by.
///
/// `None` when the request is not signed, or so badly that [`SignedRequest::parse`](super::SignedRequest::parse)
/// refuses its credential.
pub fn credential(parts: &Parts) -> Option<Credential> {
    if let Some(header) = parts.headers.get(AUTHORIZATION) {
        let fields = header.to_str().ok()?.trim().strip_prefix(ALGORITHM)?;
        let named = authorization_fields(fields).find_map(|field| field.ok().filter(|(name, _)| *name == "Credential"));
        return Credential::parse(named?.1).ok();
    }
    let named = query_parameter(parts.uri.query().unwrap_or_default(), "X-Amz-Credential").ok()??;
    Credential::parse(&named).ok()
}
