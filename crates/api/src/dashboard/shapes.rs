//! Dashboards in the shapes of the API.

use opentrail_dashboards::{NewWidget, Schedule, ScheduleRequest, Widget};
use opentrail_wire::cloudtrail as wire;

/// The widgets that a request gives.
pub(super) fn widgets_from(widgets: Vec<wire::RequestWidget>) -> Vec<NewWidget> {
    let widget = |widget: wire::RequestWidget| NewWidget {
        statement: widget.query_statement,
        parameters: widget.query_parameters.unwrap_or_default(),
        view: widget.view_properties,
    };
    widgets.into_iter().map(widget).collect()
}

/// Widgets as they are answered. A list of parameters is never empty there.
pub(super) fn widgets_to(widgets: Vec<Widget>) -> Vec<wire::Widget> {
    let widget = |widget: Widget| wire::Widget {
        query_alias: Some(widget.alias),
        query_statement: Some(widget.statement),
        query_parameters: (!widget.parameters.is_empty()).then_some(widget.parameters),
        view_properties: Some(widget.view),
    };
    widgets.into_iter().map(widget).collect()
}

/// The schedule that a request gives.
pub(super) fn schedule_from(schedule: wire::RefreshSchedule) -> ScheduleRequest {
    ScheduleRequest {
        frequency: schedule.frequency.map(|frequency| (frequency.unit, frequency.value)),
        status: schedule.status,
        time_of_day: schedule.time_of_day,
    }
}

/// The schedule as it is answered.
pub(super) fn schedule_to(schedule: &Schedule) -> wire::RefreshSchedule {
    let (unit, value) = schedule.frequency.parts();
    wire::RefreshSchedule {
        frequency: Some(wire::RefreshScheduleFrequency { unit: Some(unit.to_owned()), value: Some(value) }),
        status: Some(schedule.status().to_owned()),
        time_of_day: Some(schedule.time_of_day.to_string()),
    }
}
