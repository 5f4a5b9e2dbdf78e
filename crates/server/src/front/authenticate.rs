use bytes::Bytes;
use http::request::Parts as Head;
use opentrail_api::Services;
use opentrail_identity::{Credential, KeyError, Principal};
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
    /// The SHA-256 of all of it.
    Sha256([u8; 32]),
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

/// Who a request says has signed it. The access key is one that the server knows; nothing is proved yet.
#[derive(Debug)]
pub(super) struct Claim {
    signed: SignedRequest,
    credential: Credential,
}

impl Claim {
    /// What the request's head claims: strangers can be turned away before their body is read.
    ///
    /// # Errors
    /// When it is not signed, or with a key or token that is not valid here.
    pub(super) fn of(services: &Services, head: &Head) -> Result<Self, Refusal> {
        let signed = SignedRequest::parse(head)?.ok_or(SignatureError::Unsigned)?;
        let now = services.clock.now();
        let found = services.directory.find_key(signed.access_key_id(), signed.session_token(), now);
        let credential = found.map_err(|error| match error {
            KeyError::TokenExpired => SignatureError::ExpiredToken,
            KeyError::TokenMissing | KeyError::TokenInvalid => SignatureError::InvalidToken,
            _ => SignatureError::UnknownAccessKey,
        })?;
        Ok(Self { signed, credential })
    }

    /// Checks the signature of a request to `service`.
    ///
    /// # Errors
    /// The first thing that is wrong, to be told in the service's own framing.
    pub(super) fn verify(
        self,
        services: &Services,
        head: &Head,
        body: BodyHash<'_>,
        service: &str,
    ) -> Result<Caller, Refusal> {
        let Self { signed, credential } = self;
        let mut rules = Rules::of(service);
        let hash = match body {
            BodyHash::Of(body) => Some(sigv4::sha256(body)),
            BodyHash::Sha256(hash) => Some(hash),
            BodyHash::Unsigned => {
                rules.unsigned_payload = true;
                None
            }
        };
        let now = services.clock.now();
        signed.verify(head, credential.secret.expose(), hash.as_ref(), now, &rules)?;
        let region: Region = signed.scope().region.parse().map_err(|_| SignatureError::WrongRegion {
            expected: "a valid region".into(),
            given: signed.scope().region.clone(),
        })?;
        services.directory.note_use(&credential.principal, service, region.as_str(), now);
        Ok(Caller { principal: credential.principal, region })
    }
}

/// Checks the signature of a request to `service`, whose body was read.
///
/// # Errors
/// The first thing that is wrong, to be told in the service's own framing.
pub(super) fn authenticate(
    services: &Services,
    head: &Head,
    body: BodyHash<'_>,
    service: &str,
) -> Result<Caller, Refusal> {
    Claim::of(services, head)?.verify(services, head, body, service)
}
