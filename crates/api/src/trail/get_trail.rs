use opentrail_wire::cloudtrail::{GetTrailInput, GetTrailOutput};

use super::shapes;
use crate::context::{Context, Outcome};

/// A trail's settings; by ARN also those of a trail at home in another Region.
pub(crate) async fn get_trail(cx: Context<'_>, input: GetTrailInput) -> Outcome<GetTrailOutput> {
    let trail = cx.authorize_trail("GetTrail", &input.name).await?.require(&cx)?;
    Ok(GetTrailOutput { trail: Some(shapes::trail(&trail.value)) })
}
