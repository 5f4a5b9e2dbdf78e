//! Operations on the policies of resources.

mod delete_resource_policy;
mod get_resource_policy;
mod put_resource_policy;
mod rules;
mod target;

pub(crate) use delete_resource_policy::delete_resource_policy;
pub(crate) use get_resource_policy::get_resource_policy;
pub(crate) use put_resource_policy::put_resource_policy;
pub(crate) use rules::RuleError;
pub(crate) use target::TargetError;
