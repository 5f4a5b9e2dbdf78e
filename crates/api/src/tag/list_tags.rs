use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{ListTagsInput, ListTagsOutput, ResourceTag};

use super::resource::From;
use super::shapes::to_wire;
use crate::context::{Context, Outcome};

/// Resources of a request. (API Reference, ListTags: "a limit of 20 ARNs".)
const MAX_RESOURCES: usize = 20;

/// The tags of trails, event data stores, channels and dashboards, all on one page.
pub(crate) async fn list_tags(cx: Context<'_>, input: ListTagsInput) -> Outcome<ListTagsOutput> {
    let resources = input.resource_id_list;
    if resources.len() > MAX_RESOURCES {
        return Err(Exception::validation(format!(
            "1 validation error detected: Value at 'resourceIdList' failed to satisfy constraint: Member must have \
             length less than or equal to {MAX_RESOURCES}"
        ))
        .into());
    }
    let mut tags = Vec::with_capacity(resources.len());
    for arn in resources {
        let resource = cx.tagged("ListTags", &arn, &[], From::Anywhere).await?;
        tags.push(ResourceTag { resource_id: Some(arn), tags_list: Some(to_wire(resource.tags())) });
    }
    if input.next_token.is_some_and(|token| !token.is_empty()) {
        return Err(Exception::invalid_token("NextToken is reserved: leave it out, all tags come at once.").into());
    }
    Ok(ListTagsOutput { resource_tag_list: Some(tags), next_token: None })
}
