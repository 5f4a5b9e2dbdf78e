//! Services at configured endpoints, which want signatures: the same keys in each of their sections.

use http::Uri;
use opentrail_model::Region;
use opentrail_outbound::aws::AwsEndpoint;
use opentrail_wire::sigv4::Credentials;

use super::reader::Reader;

const EXAMPLE: &str = "a URL such as http://127.0.0.1:9324";

/// `endpoint`, which is required, and what [`read_at`] reads.
pub(super) fn read(section: &mut Reader<'_>) -> Option<AwsEndpoint> {
    if !section.has("endpoint") {
        section.complain("endpoint", format!("is required: {EXAMPLE}"));
    }
    let at = endpoint(section, "endpoint");
    read_at(section, at)
}

/// `region` (default us-east-1), `access_key_id`, `secret_access_key` and `session_token` of the service at `endpoint`.
pub(super) fn read_at(section: &mut Reader<'_>, endpoint: Option<Uri>) -> Option<AwsEndpoint> {
    let region = section.parsed("region", "a Region such as us-east-1").unwrap_or_else(Region::us_east_1);
    let access_key_id = section.required_text("access_key_id");
    let secret = section.required_text("secret_access_key");
    let session_token = section.text("session_token");
    let credentials = Credentials { access_key_id: access_key_id?, secret: secret?, session_token };
    Some(AwsEndpoint { endpoint: endpoint?, region, credentials })
}

/// The URL `name`, `http` or `https`, if there is one.
pub(super) fn endpoint(section: &mut Reader<'_>, name: &str) -> Option<Uri> {
    let endpoint = section.parsed::<Uri>(name, EXAMPLE)?;
    if !matches!(endpoint.scheme_str(), Some("http" | "https")) || endpoint.authority().is_none() {
        section.complain(name, "must begin with http:// or https:// and name a host");
        return None;
    }
    Some(endpoint)
}
