//! Who a request says that it is from, read without checking the signature: the upstream does that.

use http::{HeaderMap, Uri};

use crate::query;

/// The credential that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// E.g. `AKIA…`.
    pub access_key_id: String,
    /// The token that came with a temporary key.
    pub session_token: Option<String>,
    /// The Region in the credential scope; absent in SigV2 and SigV4A.
    pub region: Option<String>,
    /// The service in the credential scope; absent in SigV2.
    pub service: Option<String>,
    /// Whether the signature is in the query: a presigned URL.
    pub presigned: bool,
    /// `SigV4`, `SigV4A` or `SigV2`.
    pub version: &'static str,
}

/// The credential in the `Authorization` header or else in the query.
pub fn credential(headers: &HeaderMap, uri: &Uri) -> Option<Credential> {
    from_header(headers).or_else(|| from_query(uri.query()?))
}

fn from_header(headers: &HeaderMap) -> Option<Credential> {
    let header = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.trim_start();
    let (algorithm, rest) = header.split_once(' ')?;
    let mut found = if algorithm == "AWS" {
        let (key, _) = rest.split_once(':')?;
        Credential::sigv2(key.trim())
    } else {
        let start = rest.find("Credential=")? + "Credential=".len();
        let scope = rest[start..].split([',', ' ']).next()?;
        Credential::scoped(algorithm, scope)?
    };
    found.session_token =
        headers.get("x-amz-security-token").map(|token| String::from_utf8_lossy(token.as_bytes()).into_owned());
    Some(found)
}

fn from_query(query: &str) -> Option<Credential> {
    let (mut algorithm, mut scope, mut token, mut old_key) = (String::new(), None, None, None);
    for pair in query::pairs(query) {
        match pair.name.as_str() {
            "X-Amz-Algorithm" => algorithm = pair.value,
            "X-Amz-Credential" => scope = Some(pair.value),
            "X-Amz-Security-Token" | "x-amz-security-token" => token = Some(pair.value),
            "AWSAccessKeyId" => old_key = Some(pair.value),
            _ => {}
        }
    }
    let found = match scope {
        Some(scope) => Credential::scoped(&algorithm, &scope)?,
        None => Credential::sigv2(&old_key?),
    };
    Some(Credential { session_token: token, presigned: true, ..found })
}

impl Credential {
    fn sigv2(key: &str) -> Self {
        Self {
            access_key_id: key.to_owned(),
            session_token: None,
            region: None,
            service: None,
            presigned: false,
            version: "SigV2",
        }
    }

    /// `KEY/20260102/us-east-1/s3/aws4_request`; SigV4A leaves the Region out.
    fn scoped(algorithm: &str, scope: &str) -> Option<Self> {
        let asymmetric = algorithm.starts_with("AWS4-ECDSA");
        let mut parts = scope.rsplit('/');
        let _terminator = parts.next()?;
        let service = parts.next()?.to_owned();
        let region = if asymmetric { None } else { Some(parts.next()?.to_owned()) };
        let _date = parts.next()?;
        let key = parts.next()?;
        Some(Self {
            service: Some(service),
            region,
            version: if asymmetric { "SigV4A" } else { "SigV4" },
            ..Self::sigv2(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_signed_header_names_key_region_and_service() {
        let mut headers = HeaderMap::new();
        let value =
            "AWS4-HMAC-SHA256 Credential=AKIA1/20260102/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=00";
        headers.insert("authorization", HeaderValue::from_static(value));
        let found = credential(&headers, &Uri::from_static("/")).unwrap();
        assert_eq!((found.access_key_id.as_str(), found.region.as_deref()), ("AKIA1", Some("eu-west-1")));
        assert_eq!((found.service.as_deref(), found.presigned, found.version), (Some("s3"), false, "SigV4"));
    }

    #[test]
    fn a_presigned_url_names_them_in_its_query() {
        let uri = Uri::from_static(
            "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIA1%2F20260102%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Security-Token=tok",
        );
        let found = credential(&HeaderMap::new(), &uri).unwrap();
        assert_eq!((found.access_key_id.as_str(), found.session_token.as_deref()), ("ASIA1", Some("tok")));
        assert!(found.presigned);
    }

    #[test]
    fn what_is_no_credential_is_none() {
        for text in ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=a/b", "AWS4-HMAC-SHA256 Credential=", "AWS x"] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", HeaderValue::from_str(text).unwrap());
            assert_eq!(credential(&headers, &Uri::from_static("/")), None, "{text}");
        }
    }
}
