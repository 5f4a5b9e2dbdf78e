use opentrail_wire::cloudtrail::{StopLoggingInput, StopLoggingOutput};

use super::change::Changed;
use crate::context::{Context, Outcome, RecordOrder};

/// Suspends recording and delivery, in every Region of the trail. On a trail that does not log it does nothing.
pub(crate) async fn stop_logging(cx: Context<'_>, input: StopLoggingInput) -> Outcome<Changed<StopLoggingOutput>> {
    let trail = cx.authorize_trail("StopLogging", &input.name).await?.require_at_home(&cx)?;
    let mut stopped = trail.value;
    if !stopped.logging {
        return Ok(Changed::nothing(StopLoggingOutput {}));
    }
    stopped.logging = false;
    stopped.stopped = Some(cx.now());
    let change = cx.replace(stopped, trail.revision, RecordOrder::RecordFirst).await?;
    Ok(Changed::new(StopLoggingOutput {}, change))
}
