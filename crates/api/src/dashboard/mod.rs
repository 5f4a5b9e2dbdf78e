//! Operations on dashboards.

mod create_dashboard;
mod delete_dashboard;
mod get_dashboard;
mod list_dashboards;
mod named;
mod shapes;
mod start_dashboard_refresh;
mod update_dashboard;
mod widgets;

pub(crate) use create_dashboard::create_dashboard;
pub(crate) use delete_dashboard::delete_dashboard;
pub(crate) use get_dashboard::get_dashboard;
pub(crate) use list_dashboards::list_dashboards;
pub(crate) use named::DashboardReferenceError;
pub(crate) use start_dashboard_refresh::start_dashboard_refresh;
pub(crate) use update_dashboard::{NothingToUpdate, update_dashboard};
