//! Reads any body as the input of an operation: never panics, and what is accepted survives being written and read.
//!
//! The first byte chooses the operation that the body is checked for, besides those that read every body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentrail_wire::cloudtrail::{
    CreateDashboardInput, CreateTrailInput, LookupEventsInput, Operation, PutEventSelectorsInput, StartImportInput,
    StartQueryInput,
};
use opentrail_wire::cloudtrail_data::PutAuditEventsInput;
use opentrail_wire::{Validate, json, rest, shape};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the body as `T`; an accepted one must be accepted again after being written.
fn read<T: DeserializeOwned + Serialize + Validate + PartialEq + std::fmt::Debug>(body: &[u8]) {
    let Ok(input) = json::read_input::<T>(body) else { return };
    let written = serde_json::to_vec(&input).expect("an input can be written");
    let again = json::read_input::<T>(&written).expect("what was accepted is accepted again");
    assert_eq!(input, again);
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let operation = Operation::ALL[usize::from(*choice) % Operation::ALL.len()];
    if let Ok(mut value) = serde_json::from_slice(body)
        && let Err(error) = shape::check(operation.input_shape(), &mut value)
    {
        assert!(error.to_string().len() < 1 << 20, "answers stay small");
    }
    read::<CreateTrailInput>(body);
    read::<PutEventSelectorsInput>(body);
    read::<LookupEventsInput>(body);
    read::<CreateDashboardInput>(body);
    read::<StartQueryInput>(body);
    read::<StartImportInput>(body);
    let uri = http::Uri::from_static("/PutAuditEvents?channelArn=arn:a&externalId=abc");
    let _ = rest::read_input::<PutAuditEventsInput>(&uri, body);
});
