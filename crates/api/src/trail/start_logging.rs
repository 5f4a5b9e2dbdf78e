use opentrail_wire::cloudtrail::{StartLoggingInput, StartLoggingOutput};

use super::change::Changed;
use crate::context::{Context, Outcome, RecordOrder};

/// Starts recording and delivery, in every Region of the trail. On a trail that already logs it does nothing.
pub(crate) async fn start_logging(cx: Context<'_>, input: StartLoggingInput) -> Outcome<Changed<StartLoggingOutput>> {
    let trail = cx.authorize_trail("StartLogging", &input.name).await?.require_at_home(&cx)?;
    let mut started = trail.value;
    if started.logging {
        return Ok(Changed::nothing(StartLoggingOutput {}));
    }
    started.logging = true;
    started.started = Some(cx.now());
    let change = cx.replace(started, trail.revision, RecordOrder::ChangeFirst).await?;
    Ok(Changed::new(StartLoggingOutput {}, change))
}
