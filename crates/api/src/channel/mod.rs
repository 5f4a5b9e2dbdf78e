//! Operations on channels, the ways of applications' events into event data stores.

mod create_channel;
mod delete_channel;
mod destinations;
mod get_channel;
mod list_channels;
mod named;
mod update_channel;

pub(crate) use create_channel::create_channel;
pub(crate) use delete_channel::delete_channel;
pub(crate) use destinations::ChannelSettingsError;
pub(crate) use get_channel::get_channel;
pub(crate) use list_channels::list_channels;
pub(crate) use named::ChannelReferenceError;
pub(crate) use update_channel::update_channel;
