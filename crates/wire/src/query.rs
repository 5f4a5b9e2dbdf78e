//! awsQuery: a form as the request, XML as the answer; the protocol of `sts`, `iam` and `sns`.

mod input;
mod output;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode};
use percent_encoding::percent_decode;

pub use input::{read_input, value_of};
pub use output::{result_of, typed_result, xml};

use crate::sigv4::QueryError;
use crate::{CodedError, Exception, json as aws_json};

/// The content type of requests.
pub const CONTENT_TYPE_FORM: &str = "application/x-www-form-urlencoded";

/// The namespace of STS's answers, API version 2011-06-15.
pub const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The namespace of IAM's answers, API version 2010-05-08.
pub const IAM_NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The namespace of SNS's answers, API version 2010-03-31.
pub const SNS_NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

const CONTENT_TYPE_XML: &str = "text/xml";

/// The parameters of a request by name: `Action`, `Version`, and those of the action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// The value of `name`; an empty one counts as given.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// `ValidationError` in AWS's words when it is not there.
    pub fn require(&self, name: &str) -> Result<&str, QueryError> {
        self.find(name).ok_or_else(|| {
            let mut chars = name.chars();
            let first = chars.next().map(|c| c.to_ascii_lowercase()).unwrap_or_default();
            QueryError {
                code: "ValidationError",
                message: format!(
                    "1 validation error detected: Value null at '{first}{}' failed to satisfy constraint: Member must \
                     not be null",
                    chars.as_str()
                ),
                status: StatusCode::BAD_REQUEST,
            }
        })
    }

    /// The values of a list, `Name.member.1`, `Name.member.2`, …, up to the first gap.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        (1_usize..).map_while(move |i| self.find(&format!("{name}.member.{i}")))
    }

    /// Whether any parameter lies below `name`: `name.…`.
    pub fn has_below(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        self.0.range(prefix.clone()..).next().is_some_and(|(key, _)| key.starts_with(&prefix))
    }

    /// How many elements the list of structures `name` has: those with any `Name.member.N.…`, up to the first gap.
    pub fn list_len(&self, name: &str) -> usize {
        (1_usize..).take_while(|i| self.has_below(&format!("{name}.member.{i}"))).count()
    }

    /// All parameters, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Reads `a=b&c=d`, percent-encoded, with `+` for a space: a request body, or the query of a GET request.
///
/// # Errors
/// `MalformedQueryString`, when a name or value is not UTF-8 or a name is there twice.
pub fn parse_form(form: &[u8]) -> Result<Params, QueryError> {
    let mut params = BTreeMap::new();
    for pair in form.trim_ascii().split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let name = decoded(&pair[..at])?;
        let value = decoded(pair.get(at + 1..).unwrap_or_default())?;
        if params.contains_key(&name) {
            return Err(malformed(format!("the parameter {name:?} must be given only once")));
        }
        params.insert(name, value);
    }
    Ok(Params(params))
}

fn decoded(text: &[u8]) -> Result<String, QueryError> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    match percent_decode(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(malformed("the parameters must be UTF-8, percent-encoded".to_owned())),
    }
}

fn malformed(message: String) -> QueryError {
    QueryError { code: "MalformedQueryString", message, status: StatusCode::BAD_REQUEST }
}

/// A success of the service with that namespace: `result_xml` is the content of `<ActionResult>`, made with [`element`]
/// or [`xml`]; `None` for an action that has no result.
pub fn respond_xml(namespace: &str, action: &str, result_xml: Option<&str>, request_id: &str) -> Response<Bytes> {
    let mut id = String::new();
    element(&mut id, "RequestId", request_id);
    let result = result_xml.map(|xml| format!("  <{action}Result>{xml}</{action}Result>\n")).unwrap_or_default();
    let body = format!(
        "<{action}Response xmlns=\"{namespace}\">\n{result}  <ResponseMetadata>{id}</ResponseMetadata>\n\
         </{action}Response>\n"
    );
    aws_json::response(StatusCode::OK, CONTENT_TYPE_XML, request_id, body.into())
}

/// A failure of the service with that namespace.
pub fn respond_error(namespace: &str, error: &QueryError, request_id: &str) -> Response<Bytes> {
    respond_coded(namespace, &error.into(), request_id)
}

/// As [`respond_error`], of an error that has names in other protocols too.
pub(crate) fn respond_coded(namespace: &str, error: &CodedError, request_id: &str) -> Response<Bytes> {
    let fault = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    let mut inner = String::new();
    element(&mut inner, "Type", fault);
    element(&mut inner, "Code", &error.code);
    element(&mut inner, "Message", &error.message);
    let mut id = String::new();
    element(&mut id, "RequestId", request_id);
    let body = format!("<ErrorResponse xmlns=\"{namespace}\">\n  <Error>{inner}</Error>\n  {id}\n</ErrorResponse>\n");
    aws_json::response(error.status, CONTENT_TYPE_XML, request_id, body.into())
}

/// Appends `<name>text</name>`, the text escaped. Characters that XML cannot carry become U+FFFD.
pub fn element(out: &mut String, name: &str, text: &str) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            c if c < ' ' || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

impl QueryError {
    /// An error of a Query service.
    pub fn new(code: &'static str, message: impl Into<String>, status: StatusCode) -> Self {
        Self { code, message: message.into(), status }
    }

    /// `AccessDenied`, status 403; the text as [`Exception::not_authorized`] makes it.
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new("AccessDenied", message, StatusCode::FORBIDDEN)
    }

    /// `ValidationError`, status 400.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message, StatusCode::BAD_REQUEST)
    }

    /// `InvalidAction`, status 400: there is no such action.
    pub fn invalid_action(action: &str, version: &str) -> Self {
        let message = format!("Could not find operation {action} for version {version}");
        Self::new("InvalidAction", message, StatusCode::BAD_REQUEST)
    }

    /// `InternalFailure`, status 500. What went wrong stays in our log.
    pub fn internal_failure() -> Self {
        let Exception { message, status, .. } = Exception::internal_failure();
        Self::new("InternalFailure", message, status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let params = parse_form(b"Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam&Note=a+b%2Bc&Empty=&Bare\n").unwrap();
        assert_eq!(params.find("Action"), Some("AssumeRole"));
        assert_eq!(params.find("RoleArn"), Some("arn:aws:iam"));
        assert_eq!(params.find("Note"), Some("a b+c"));
        assert_eq!((params.find("Empty"), params.find("Bare"), params.find("No")), (Some(""), Some(""), None));
        assert_eq!(parse_form(b"").unwrap(), Params::default());
    }

    #[test]
    fn forms_that_say_two_things_or_are_no_text_are_refused() {
        assert_eq!(parse_form(b"Action=a&Action=b").unwrap_err().code, "MalformedQueryString");
        assert_eq!(parse_form(b"Action=%FF").unwrap_err().code, "MalformedQueryString");
    }

    #[test]
    fn lists_are_read_in_order_up_to_a_gap() {
        let params = parse_form(b"K.member.1=a&K.member.2=b&K.member.4=d&T.member.1.Key=k&T.member.2.Value=v").unwrap();
        assert_eq!(params.list("K").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((params.list_len("T"), params.list_len("K")), (2, 0));
    }

    #[test]
    fn a_missing_parameter_is_named_in_awss_words() {
        let error = parse_form(b"").unwrap().require("RoleArn").unwrap_err();
        assert_eq!(
            error.message,
            "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn answers_are_xml_in_the_namespace_of_sts() {
        let mut result = String::new();
        element(&mut result, "Arn", "a<b>&\u{1}");
        let response = respond_xml(STS_NAMESPACE, "GetCallerIdentity", Some(&result), "id-1");
        assert_eq!(response.headers()["x-amzn-requestid"], "id-1");
        assert_eq!(
            String::from_utf8(response.into_body().to_vec()).unwrap(),
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  \
             <GetCallerIdentityResult><Arn>a&lt;b&gt;&amp;\u{FFFD}</Arn></GetCallerIdentityResult>\n  \
             <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>\n</GetCallerIdentityResponse>\n"
        );
    }

    #[test]
    fn errors_name_who_is_at_fault() {
        let answer = |error: &QueryError| {
            String::from_utf8(respond_error(IAM_NAMESPACE, error, "id-1").into_body().to_vec()).unwrap()
        };
        let sender = answer(&QueryError::access_denied("no"));
        assert!(sender.contains("<Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message>"), "{sender}");
        assert!(answer(&QueryError::internal_failure()).contains("<Type>Receiver</Type>"));
    }
}
