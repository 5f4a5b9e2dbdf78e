//! Operations on tags.

mod add_tags;
mod list_tags;
mod remove_tags;
mod resource;
mod shapes;
pub(crate) mod validation;

pub(crate) use add_tags::add_tags;
pub(crate) use list_tags::list_tags;
pub(crate) use remove_tags::remove_tags;
pub(crate) use resource::ResourceError;
pub(crate) use shapes::{from_wire, to_wire};
pub(crate) use validation::TagError;
