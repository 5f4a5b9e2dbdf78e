use bytes::Bytes;
use http::request::Parts as Head;
use opentrail_api::Services;
use opentrail_identity::{KeyError, Principal};
use opentrail_model::Region;
use opentrail_wire::sigv4::{self, Rules, SignatureError, SignedRequest};

/// Who signed a request, and for which Region.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    pub(super) region: Region,
}

/// What is known of a request's body when its signature is checked.
#[derive(Clone, Copy, Debug)]
pub(super) enum BodyHash<'a> {
    /// All of it.
    Of(&'a Bytes),
    /// Nothing: the request must say `UNSIGNED-PAYLOAD`.
    Unsigned,
}

/// A request that is not let in.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) SignatureError);

impl Refusal {
    /// Counts it.
    pub(super) fn count(&self) {
        let error = self.0.exception().name.into_owned();
        metrics::counter!("opentrail_server_unauthenticated_calls_total", "error" => error).increment(1);
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        Self(error)
    }
}

/// Checks the signature of a request to `service`.
///
/// # Errors
/// The first thing that is wrong, to be told in the service's own framing.
pub(super) fn authenticate(
    services: &Services,
    head: &Head,
    body: BodyHash<'_>,
    service: &str,
) -> Result<Caller, Refusal> {
    let now = services.clock.now();
    let signed = SignedRequest::parse(head)?.ok_or(SignatureError::Unsigned)?;
    let credential = services.directory.find_key(signed.access_key_id(), signed.session_token(), now).map_err(
        |error| match error {
            KeyError::TokenExpired => SignatureError::ExpiredToken,
            KeyError::TokenMissing | KeyError::TokenInvalid => SignatureError::InvalidToken,
            _ => SignatureError::UnknownAccessKey,
        },
    )?;
    let mut rules = Rules::of(service);
    let hash = match body {
        BodyHash::Of(body) => Some(sigv4::sha256(body)),
        BodyHash::Unsigned => {
            rules.unsigned_payload = true;
            None
        }
    };
    signed.verify(head, credential.secret.expose(), hash.as_ref(), now, &rules)?;
    let region = signed.scope().region.parse().map_err(|_| SignatureError::WrongRegion {
        expected: "a valid region".into(),
        given: signed.scope().region.clone(),
    })?;
    Ok(Caller { principal: credential.principal, region })
}
