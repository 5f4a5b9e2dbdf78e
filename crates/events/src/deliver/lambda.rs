//! Functions of a service that speaks as Lambda does.

use async_trait::async_trait;
use http::{Method, Request};
use opentrail_model::{AccountId, Arn};
use opentrail_outbound::aws::{AwsCalls, AwsEndpoint, base};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::destination::{Delivery, Destination};
use super::failure::DeliveryFailure;

/// Delivers to functions by `Invoke` with the invocation type `Event` at a configured endpoint, with the credentials
/// configured for it. (Lambda API Reference, Invoke.)
#[derive(Clone, Debug)]
pub struct LambdaFunctions {
    calls: AwsCalls,
    endpoint: AwsEndpoint,
}

impl LambdaFunctions {
    /// The functions at `endpoint`. Calls are signed for the Region of each function's ARN.
    pub fn new(calls: AwsCalls, endpoint: AwsEndpoint) -> Self {
        Self { calls, endpoint }
    }
}

#[async_trait]
impl Destination for LambdaFunctions {
    fn check(&self, arn: &Arn, _account: AccountId) -> Result<(), String> {
        let name = arn.resource().strip_prefix("function:").unwrap_or_default();
        if name.is_empty() || arn.region().parse::<opentrail_model::Region>().is_err() {
            return Err("An ARN of a function is arn:aws:lambda:REGION:ACCOUNT:function:NAME.".to_owned());
        }
        Ok(())
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), DeliveryFailure> {
        let arn = &delivery.target.arn;
        let invalid = |message: String| DeliveryFailure::never("INVALID_PARAMETER", message);
        let region = arn.region().parse().map_err(|_| invalid(format!("{} names no Region", arn.as_str())))?;
        let endpoint = AwsEndpoint { region, ..self.endpoint.clone() };
        let name = utf8_percent_encode(arn.as_str(), NON_ALPHANUMERIC);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/2015-03-31/functions/{name}/invocations", base(&self.endpoint.endpoint)))
            .header("x-amz-invocation-type", "Event")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(delivery.payload.clone())
            .map_err(|error| invalid(error.to_string()))?;
        self.calls.signed(&endpoint, "lambda", request).await?;
        Ok(())
    }
}
