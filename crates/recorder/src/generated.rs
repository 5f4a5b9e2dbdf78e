//! Tables that `cargo xtask codegen` makes from the published service models.

pub(crate) mod iam;
#[expect(dead_code, reason = "operations are not checked: unknown ones are recorded too")]
pub(crate) mod json_services;
#[expect(dead_code, reason = "the table says more of each operation than a record shows")]
pub(crate) mod s3_operations;
