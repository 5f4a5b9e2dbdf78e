//! One operation, in whichever protocol the client speaks: awsQuery, awsJson 1.0 or Smithy RPC v2 CBOR.
//!
//! A service that began with the Query protocol answers all three for ever: SDKs choose by their age. [`Dialects::read`] finds
//! out which it is; [`Request::input`] gives the operation's input, checked by the same table; [`Addressee::respond`]
//! and [`Dialects::refuse`] answer in kind. (Smithy, "AWS Query compatible", "Smithy RPC v2 CBOR protocol".)

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::json::{self as aws_json, parse_body, typed};
use crate::query::{self, Params};
use crate::shape::{Shape, Validate, check};
use crate::sigv4::QueryError;
use crate::{CodedError, cbor};

/// The header that says that a request is RPC v2, and its value.
const SMITHY_PROTOCOL: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A form in, XML out.
    Query,
    /// JSON both ways, the operation in `X-Amz-Target`.
    Json,
    /// CBOR both ways, the operation in the path.
    Cbor,
}

impl Protocol {
    /// The protocol of a request; what says nothing of another is Query.
    pub fn of(headers: &HeaderMap) -> Self {
        if headers.get(SMITHY_PROTOCOL.0).is_some_and(|value| value == SMITHY_PROTOCOL.1) {
            Self::Cbor
        } else if headers.contains_key(aws_json::TARGET) {
            Self::Json
        } else {
            Self::Query
        }
    }
}

/// What a service is called in its protocols.
#[derive(Clone, Copy, Debug)]
pub struct Dialects {
    /// The namespace of the Query protocol's answers.
    pub namespace: &'static str,
    /// The version that the Query protocol's requests say.
    pub version: &'static str,
    /// What stands before the operation in `X-Amz-Target`, and in the path of RPC v2.
    pub target: &'static str,
}

/// A request that names its operation.
#[derive(Clone, Debug)]
pub struct Request {
    protocol: Protocol,
    /// The operation's name as the client says it.
    pub operation: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Form(Params),
    Value(Value),
}

impl Dialects {
    /// Reads a request, whose body is no more compressed.
    ///
    /// # Errors
    /// `InvalidAction` when it names no operation, `MalformedInput` or `MalformedQueryString` for a body that cannot be
    /// read.
    pub fn read(self, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Request, CodedError> {
        let protocol = Protocol::of(headers);
        let (operation, content) = match protocol {
            Protocol::Query => {
                let form = if body.is_empty() { uri.query().unwrap_or_default().as_bytes() } else { body };
                let params = query::parse_form(form)?;
                let action = params.find("Action").map(str::to_owned);
                (action.ok_or_else(|| self.unnamed())?, Content::Form(params))
            }
            Protocol::Json => {
                let operation = aws_json::operation_of(headers).map_err(|_| self.unnamed())?;
                (operation.to_owned(), Content::Value(parse_body(body)?))
            }
            Protocol::Cbor => {
                let operation = uri.path().rsplit_once("/operation/").map(|(_, operation)| operation);
                let operation = operation.filter(|operation| !operation.is_empty()).ok_or_else(|| self.unnamed())?;
                (operation.to_owned(), Content::Value(cbor::decode(body)?))
            }
        };
        Ok(Request { protocol, operation, content })
    }

    fn unnamed(self) -> CodedError {
        CodedError::unknown_operation(format!(
            "the request must name an operation: as the parameter Action, in the header X-Amz-Target ({}.…), or in the path \
             (/service/{}/operation/…)",
            self.target, self.target
        ))
    }

    /// A failure, in the protocol of the request that failed.
    pub fn refuse(self, protocol: Protocol, error: &CodedError, request_id: &str) -> Response<Bytes> {
        if protocol == Protocol::Query {
            return query::respond_coded(self.namespace, error, request_id);
        }
        // Some shapes of the model spell the member `Message`; SDKs read either.
        let body = json!({ "__type": error.shape, "message": error.message });
        let (content_type, bytes) = match protocol {
            Protocol::Cbor => ("application/cbor", cbor::encode_plain(&body)),
            _ => ("application/x-amz-json-1.0", body.to_string().into_bytes()),
        };
        let mut response = answer(protocol, error.status, content_type, request_id, bytes);
        let fault = if error.status.is_server_error() { "Receiver" } else { "Sender" };
        set(&mut response, "x-amzn-query-error", &format!("{};{fault}", error.code));
        set(&mut response, "x-amzn-errortype", &error.shape);
        response
    }
}

impl Request {
    /// How the client speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The operation's input.
    ///
    /// # Errors
    /// `MalformedInput` for values of a wrong type, `ValidationError` in AWS's words for those that break constraints.
    pub fn input<T: DeserializeOwned + Validate>(self) -> Result<T, CodedError> {
        let mut value = match self.content {
            Content::Form(params) => query::value_of(T::shape(), &params)?,
            Content::Value(value) => value,
        };
        check(T::shape(), &mut value)?;
        Ok(typed(value)?)
    }

    /// The input as one JSON value, as far as it can be read; for conditions and records.
    pub fn value(&self, shape: &Shape) -> Value {
        match &self.content {
            Content::Form(params) => query::value_of(shape, params).unwrap_or_default(),
            Content::Value(value) => value.clone(),
        }
    }
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug)]
pub struct Addressee<'a> {
    /// What the service is called.
    pub dialects: Dialects,
    /// How the client speaks.
    pub protocol: Protocol,
    /// The operation's name.
    pub operation: &'a str,
    /// Goes into the answer.
    pub request_id: &'a str,
}

impl Addressee<'_> {
    /// A success: the output, of that shape; `None` for an operation that has none.
    ///
    /// # Panics
    /// When `output` has no JSON form; generated outputs do.
    pub fn respond(self, shape: Option<&Shape>, output: &impl Serialize) -> Response<Bytes> {
        let value = serde_json::to_value(output).expect("generated outputs are plain values");
        let nothing = Shape::Structure(&[]);
        match (self.protocol, shape) {
            (Protocol::Query, shape) => {
                let result = shape.map(|shape| query::typed_result(shape, &value));
                query::respond_xml(self.dialects.namespace, self.operation, result.as_deref(), self.request_id)
            }
            (Protocol::Json, _) => {
                let bytes = value.to_string().into_bytes();
                answer(self.protocol, StatusCode::OK, "application/x-amz-json-1.0", self.request_id, bytes)
            }
            (Protocol::Cbor, shape) => {
                let bytes = cbor::encode(shape.unwrap_or(&nothing), &value);
                answer(self.protocol, StatusCode::OK, "application/cbor", self.request_id, bytes)
            }
        }
    }
}

fn answer(
    protocol: Protocol,
    status: StatusCode,
    content_type: &'static str,
    request_id: &str,
    body: Vec<u8>,
) -> Response<Bytes> {
    let mut response = aws_json::response(status, content_type, request_id, body.into());
    if protocol == Protocol::Cbor {
        set(&mut response, SMITHY_PROTOCOL.0, SMITHY_PROTOCOL.1);
    }
    response
}

fn set(response: &mut Response<Bytes>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// An error of the front layer, e.g. of authentication, as [`Dialects::refuse`] takes it.
impl From<&QueryError> for CodedError {
    fn from(error: &QueryError) -> Self {
        error.clone().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudwatch::{GetMetricDataInput, GetMetricDataOutput, MetricDataResult, Operation, PutMetricDataInput};

    const CLOUDWATCH: Dialects = Dialects {
        namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
        version: "2010-08-01",
        target: "GraniteServiceVersion20100801",
    };

    fn request(headers: &[(&'static str, &str)], uri: &str, body: &[u8]) -> Result<Request, CodedError> {
        let headers =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        CLOUDWATCH.read(&uri.parse().unwrap(), &headers, body)
    }

    #[test]
    fn the_same_input_comes_out_of_each_protocol() {
        let form = b"Action=PutMetricData&Version=2010-08-01&Namespace=N&MetricData.member.1.MetricName=m\
                     &MetricData.member.1.Timestamp=2023-11-14T22%3A13%3A20Z&MetricData.member.1.Value=1.5\
                     &MetricData.member.1.StorageResolution=1";
        let datum = json!({ "MetricName": "m", "Timestamp": 1_700_000_000, "Value": 1.5, "StorageResolution": 1 });
        let json = json!({ "Namespace": "N", "MetricData": [datum] });
        let cbor = cbor::encode(<PutMetricDataInput as Validate>::shape(), &json);
        let target = "GraniteServiceVersion20100801.PutMetricData";
        let path = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
        let requests = [
            request(&[], "/", form).unwrap(),
            request(&[("x-amz-target", target)], "/", json.to_string().as_bytes()).unwrap(),
            request(&[("smithy-protocol", "rpc-v2-cbor")], path, &cbor).unwrap(),
        ];
        let protocols: Vec<_> = requests.iter().map(Request::protocol).collect();
        assert_eq!(protocols, [Protocol::Query, Protocol::Json, Protocol::Cbor]);
        let inputs: Vec<PutMetricDataInput> = requests
            .into_iter()
            .map(|request| {
                assert_eq!(request.operation, "PutMetricData");
                request.input().unwrap()
            })
            .collect();
        assert_eq!(inputs[0].metric_data.as_ref().unwrap()[0].value, Some(1.5));
        assert!(inputs.iter().all(|input| *input == inputs[0]));
    }

    #[test]
    fn an_output_goes_out_in_each_protocol() {
        let result = MetricDataResult {
            id: Some("m".to_owned()),
            timestamps: Some(vec![opentrail_model::Timestamp::from_secs(1_700_000_000)]),
            values: Some(vec![3.0]),
            ..MetricDataResult::default()
        };
        let output = GetMetricDataOutput { metric_data_results: Some(vec![result]), ..GetMetricDataOutput::default() };
        let shape = Operation::GetMetricData.output_shape();
        let respond = |protocol| {
            let to = Addressee { dialects: CLOUDWATCH, protocol, operation: "GetMetricData", request_id: "id" };
            to.respond(shape, &output)
        };
        let xml = String::from_utf8(respond(Protocol::Query).into_body().to_vec()).unwrap();
        assert!(xml.contains("<Timestamps><member>2023-11-14T22:13:20.000Z</member></Timestamps>"), "{xml}");
        let json: Value = serde_json::from_slice(respond(Protocol::Json).body()).unwrap();
        assert_eq!(json["MetricDataResults"][0]["Timestamps"], json!([1_700_000_000]));
        let cbor = respond(Protocol::Cbor);
        assert_eq!(cbor.headers()["smithy-protocol"], "rpc-v2-cbor");
        assert_eq!(cbor::decode(cbor.body()).unwrap()["MetricDataResults"][0]["Values"], json!([3.0]));
    }

    #[test]
    fn an_error_has_its_query_code_in_a_header() {
        let error = crate::cloudwatch::errors::invalid_parameter_value_exception("no");
        let refuse = |protocol| CLOUDWATCH.refuse(protocol, &error, "id");
        let xml = String::from_utf8(refuse(Protocol::Query).into_body().to_vec()).unwrap();
        assert!(xml.contains("<Type>Sender</Type><Code>InvalidParameterValue</Code><Message>no</Message>"), "{xml}");
        for protocol in [Protocol::Json, Protocol::Cbor] {
            assert_eq!(refuse(protocol).headers()["x-amzn-query-error"], "InvalidParameterValue;Sender");
        }
        let body: Value = serde_json::from_slice(refuse(Protocol::Json).body()).unwrap();
        assert_eq!(body, json!({ "__type": "InvalidParameterValueException", "message": "no" }));
        assert_eq!(cbor::decode(refuse(Protocol::Cbor).body()).unwrap(), body);
    }

    #[test]
    fn what_names_no_operation_or_breaks_the_model_is_refused() {
        assert_eq!(request(&[], "/", b"Version=2010-08-01").unwrap_err().code, "InvalidAction");
        assert_eq!(request(&[("smithy-protocol", "rpc-v2-cbor")], "/x", b"").unwrap_err().code, "InvalidAction");
        let told = request(&[], "/", b"Action=GetMetricData").unwrap().input::<GetMetricDataInput>().unwrap_err();
        assert_eq!(told.code, "ValidationError");
        let json = br#"{"MetricDataQueries": 1}"#;
        let target = "GraniteServiceVersion20100801.GetMetricData";
        let told = request(&[("x-amz-target", target)], "/", json).unwrap().input::<GetMetricDataInput>().unwrap_err();
        assert_eq!(told.code, "MalformedInput");
    }
}
