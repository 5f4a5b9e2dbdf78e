//! Other buses as targets: the event goes on to their rules, within the outbox.

use opentrail_patterns::Scratch;

use super::failure::DeliveryFailure;
use crate::error::EventsError;
use crate::outbox::{Invocation, Matched};
use crate::place::BusPlace;
use crate::service::Events;

/// Over how many buses an event goes at most: rules that send in a circle come to an end. A choice of ours.
const MOST_HOPS: u32 = 5;

/// What the rules of `bus` make of the event. Storing it and settling the invocation is one transaction, so that it is
/// on the bus exactly once.
pub(super) async fn forward(
    events: &Events,
    bus: &BusPlace,
    invocation: &Invocation,
) -> Result<Matched, DeliveryFailure> {
    let hops = invocation.hops + 1;
    if hops > MOST_HOPS {
        return Err(DeliveryFailure::never(
            "INVALID_PARAMETER",
            format!("the event has come over {MOST_HOPS} event buses, and goes no further"),
        ));
    }
    match events.documents.bus(bus).await {
        Ok(_) => {}
        Err(EventsError::NotFound(message)) => return Err(DeliveryFailure::never("NO_RESOURCE", message)),
        Err(error) => return Err(DeliveryFailure::later("INTERNAL_ERROR", error.to_string())),
    }
    let nothing = Matched { body: invocation.body.clone(), invocations: Vec::new(), archives: Vec::new() };
    let Some(page) = events.book.page(bus) else { return Ok(nothing) };
    Ok(page.take_whole(&invocation.body, hops, &mut Scratch::default()).unwrap_or(nothing))
}
