use opentrail_wire::cloudtrail::{DeleteTrailInput, DeleteTrailOutput};

use super::change::Changed;
use crate::context::{Context, Outcome};

/// Deletes a trail. What it delivered stays.
pub(crate) async fn delete_trail(cx: Context<'_>, input: DeleteTrailInput) -> Outcome<Changed<DeleteTrailOutput>> {
    let trail = cx.authorize_trail("DeleteTrail", &input.name).await?.require_at_home(&cx)?;
    Ok(Changed::new(DeleteTrailOutput {}, cx.delete(trail.value, trail.revision).await?))
}
