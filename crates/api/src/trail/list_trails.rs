use opentrail_trails::Trail;
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{ListTrailsInput, ListTrailsOutput, TrailInfo};

use crate::access::Access;
use crate::context::{Context, Outcome};
use crate::page_token;

/// Trails of a page; a choice, as AWS does not say.
const PAGE: usize = 100;

/// Every trail of the account, and those of its organization, whatever the home Region, in the order of home Region and
/// name.
/// (API Reference, ListTrails: "lists trails that are in the current account".)
pub(crate) async fn list_trails(cx: Context<'_>, input: ListTrailsInput) -> Outcome<ListTrailsOutput> {
    cx.authorize(Access::anywhere("ListTrails"))?;
    // The last trail of the page before, as home Region, name and owner.
    let after: Option<(String, String, String)> = match input.next_token.as_deref() {
        // The operation declares no error for a bad token.
        Some(token) => Some(
            page_token::redeem(&cx, "ListTrails", &(), token)
                .map_err(|error| Exception::validation(error.to_string()))?,
        ),
        None => None,
    };
    let place = |trail: &Trail| {
        let key = &trail.key;
        (key.home_region.to_string(), key.name.to_string(), key.account.to_string())
    };
    let mut trails = cx.services.trails.of_account(cx.account()).await?;
    trails.extend(cx.shadows().await?);
    trails.retain(|trail| after.as_ref().is_none_or(|after| place(trail) > *after));
    trails.sort_by_key(place);

    let more = trails.len() > PAGE;
    trails.truncate(PAGE);
    let next_token = match trails.last() {
        Some(last) if more => Some(page_token::issue(&cx, "ListTrails", &(), &place(last))),
        _ => None,
    };
    let info = |trail: &Trail| TrailInfo {
        trail_arn: Some(trail.arn().to_string()),
        name: Some(trail.key.name.to_string()),
        home_region: Some(trail.key.home_region.to_string()),
    };
    Ok(ListTrailsOutput { trails: Some(trails.iter().map(info).collect()), next_token })
}
