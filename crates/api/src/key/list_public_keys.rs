use opentrail_wire::cloudtrail::{ListPublicKeysInput, ListPublicKeysOutput, PublicKey};
use opentrail_wire::{Blob, Exception};

use crate::access::Access;
use crate::context::{Context, Outcome};

/// The public keys of the Region that are valid at some moment between two times, both inclusive; a time left out is
/// now. All come on one page, as `aws cloudtrail validate-logs` reads only the first.
pub(crate) async fn list_public_keys(cx: Context<'_>, input: ListPublicKeysInput) -> Outcome<ListPublicKeysOutput> {
    cx.authorize(Access::anywhere("ListPublicKeys"))?;
    if input.next_token.is_some_and(|token| !token.is_empty()) {
        return Err(Exception::invalid_token("NextToken is reserved: leave it out, all keys come at once.").into());
    }
    let now = cx.now();
    let (start, end) = (input.start_time.unwrap_or(now), input.end_time.unwrap_or(now));
    if start > end {
        return Err(Exception::invalid_time_range(format!(
            "StartTime {start} is after EndTime {end}; a time that is left out is the current one."
        ))
        .into());
    }
    let keys = cx.services.public_keys.list(cx.region(), Some(start), Some(end)).await?;
    let key = |key: opentrail_delivery::PublicKey| PublicKey {
        value: Some(Blob(key.value_der)),
        validity_start_time: Some(key.validity_start),
        validity_end_time: Some(key.validity_end),
        fingerprint: Some(key.fingerprint),
    };
    Ok(ListPublicKeysOutput { public_key_list: Some(keys.into_iter().map(key).collect()), next_token: None })
}
