//! Dashboards over event data stores: what they show, and the refreshes that run their widgets' queries.
//!
//! A [`Dashboard`] is a document of the catalog: one of a user's own, or the Highlights of an account. The dashboards
//! that CloudTrail brings along are [`managed`]. Each [`Widget`] is a statement with marks for parameters ([`fill`],
//! [`Values`]) and an alias that the service makes, by which its results are found. A refresh is one transaction: the
//! queries of all widgets and the dashboard's [`LastRefresh`]; from then on the queries live as every query does
//! (`opentrail-queries`). [`Dashboards::run`] starts those that schedules ask for.
//!
//! Read `dashboard` (what is kept), `repository` (how it changes), then `refresh` and `scheduler`.

mod dashboard;
mod error;
mod fill;
pub mod managed;
mod refresh;
mod repository;
mod schedule;
mod scheduler;
mod view;
mod widget;

#[cfg(test)]
mod tests;

pub use dashboard::{Dashboard, DashboardKey, DashboardKind, DashboardStatus, HIGHLIGHTS};
pub use error::DashboardError;
pub use fill::{Parameter, Values, ValuesError, fill};
pub use refresh::{LastRefresh, WidgetQuery};
pub use repository::{Dashboards, DashboardsDeps, Found, MAX_DASHBOARDS};
pub use schedule::{Frequency, Schedule, ScheduleError, ScheduleRequest, TimeOfDay};
pub use view::ViewError;
pub use widget::{MAX_WIDGETS, NewWidget, Widget, WidgetError, dashboard_of};
