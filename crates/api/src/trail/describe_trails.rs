use opentrail_trails::Trail;
use opentrail_wire::cloudtrail::{DescribeTrailsInput, DescribeTrailsOutput};

use super::shapes;
use crate::access::Access;
use crate::context::{Context, Outcome};

/// The settings of the trails seen in the Region called, or of those that are named. Names that no trail has are left
/// out in silence. (API Reference, DescribeTrails.)
pub(crate) async fn describe_trails(cx: Context<'_>, input: DescribeTrailsInput) -> Outcome<DescribeTrailsOutput> {
    cx.authorize(Access::anywhere("DescribeTrails"))?;
    let names = input.trail_name_list.unwrap_or_default();
    let trails = if names.is_empty() {
        let shadows = input.include_shadow_trails.unwrap_or(true);
        let seen = |trail: &Trail| trail.key.home_region == *cx.region() || (shadows && trail.multi_region);
        let all = cx.services.trails.of_account(cx.account()).await?;
        let mut trails: Vec<Trail> = all.into_iter().filter(seen).collect();
        if shadows {
            // An organization trail is a shadow in a member account, whatever the Region.
            let organization = cx.shadows().await?;
            trails.extend(organization.into_iter().filter(|trail| trail.is_visible_in(cx.region())));
        }
        trails
    } else {
        named(cx, &names).await?
    };
    Ok(DescribeTrailsOutput { trail_list: Some(trails.iter().map(shapes::trail).collect()) })
}

/// Each trail once, in the order of the names.
async fn named(cx: Context<'_>, names: &[String]) -> Outcome<Vec<Trail>> {
    let mut trails: Vec<Trail> = Vec::new();
    for name in names {
        if let Some(trail) = cx.find_trail(name).await?.optional()?
            && trails.iter().all(|known| known.key != trail.key)
        {
            trails.push(trail);
        }
    }
    Ok(trails)
}
