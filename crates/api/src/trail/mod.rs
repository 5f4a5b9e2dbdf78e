//! Operations on trails.

mod change;
mod create_trail;
mod delete_trail;
mod describe_trails;
mod destination;
mod get_trail;
mod get_trail_status;
mod list_trails;
mod named;
mod organization;
mod settings;
mod shapes;
mod start_logging;
mod stop_logging;
mod update_trail;

pub(crate) use change::{Change, Changed};
pub(crate) use create_trail::create_trail;
pub(crate) use delete_trail::delete_trail;
pub(crate) use describe_trails::describe_trails;
pub(crate) use destination::{DestinationError, validate_bucket, validate_parts};
pub(crate) use get_trail::get_trail;
pub(crate) use get_trail_status::get_trail_status;
pub(crate) use list_trails::list_trails;
pub(crate) use named::{NamedTrail, NotHomeRegion, TrailReferenceError, parse_arn};
pub(crate) use organization::{OrganizationTrailError, scope_of};
pub(crate) use settings::SettingsError;
pub(crate) use start_logging::start_logging;
pub(crate) use stop_logging::stop_logging;
pub(crate) use update_trail::update_trail;
