//! The dashboards that CloudTrail brings along, and what Highlights show.
//!
//! Their names and widgets are those of the User Guide ("View CloudTrail Lake dashboards"); AWS does not publish the
//! statements behind them, so those in `managed.toml` are OpenTrail's own. In them `{events}` stands for the events of all stores
//! of an account.

use std::sync::LazyLock;

use opentrail_stores::Kind;
use serde::Deserialize;
use uuid::Uuid;

use crate::widget::alias;
use crate::{HIGHLIGHTS, Parameter, Widget};

/// The columns that Highlights' statements may use. With `eventID` among them, an event that is in several stores is the
/// same row in each, and `UNION` keeps it once.
const COLUMNS: &str = "eventID, eventTime, eventSource, eventName, awsRegion, errorCode, readOnly, sourceIPAddress, \
                       recipientAccountId, userIdentity.type AS userType, userIdentity.arn AS userArn, \
                       userIdentity.accountId AS userAccountId, userIdentity.invokedBy AS invokedBy";

/// A dashboard that is there for every account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedDashboard {
    /// `Name`.
    pub name: String,
    /// The kind of stores that it can show.
    pub kind: Kind,
    /// What it shows; `$EventDataStoreId$` is a parameter of each.
    pub widgets: Vec<Widget>,
}

impl ManagedDashboard {
    /// What it shows, in words.
    pub(crate) fn events(&self) -> &'static str {
        match self.kind {
            Kind::CloudTrail => "CloudTrail events",
            Kind::Insight => "Insights events",
            Kind::ConfigurationItem => "configuration items",
            Kind::Evidence => "Audit Manager evidence",
            Kind::ActivityAuditLog => "events from outside AWS",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Library {
    word: Vec<Word>,
    dashboard: Vec<WrittenDashboard>,
}

/// What `{name}` in a statement means.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    name: String,
    means: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDashboard {
    name: String,
    kind: Kind,
    widget: Vec<WrittenWidget>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWidget {
    title: String,
    /// `Table`, or a chart and its columns: `LineChart x y [filter]`, `BarChart label value`, `PieChart label value`.
    view: String,
    sql: String,
}

/// As they are written, their words put in, Highlights among them.
static WRITTEN: LazyLock<Vec<WrittenDashboard>> = LazyLock::new(|| {
    let library: Library = toml::from_str(include_str!("managed.toml")).expect("the library is well-formed TOML");
    let Library { word, mut dashboard } = library;
    for widget in dashboard.iter_mut().flat_map(|dashboard| &mut dashboard.widget) {
        for Word { name, means } in &word {
            widget.sql = widget.sql.replace(&format!("{{{name}}}"), means);
        }
    }
    dashboard
});

/// All managed dashboards but Highlights, in the order of the guide.
pub static MANAGED: LazyLock<Vec<ManagedDashboard>> = LazyLock::new(|| {
    let own = |written: &&WrittenDashboard| written.name != HIGHLIGHTS;
    let managed = |written: &WrittenDashboard| ManagedDashboard {
        name: written.name.clone(),
        kind: written.kind,
        widgets: written.widget.iter().map(|widget| read(&written.name, widget)).collect(),
    };
    WRITTEN.iter().filter(own).map(managed).collect()
});

/// The managed dashboard of that name.
pub fn find(name: &str) -> Option<&'static ManagedDashboard> {
    MANAGED.iter().find(|managed| managed.name == name)
}

/// What Highlights show of these stores; without any, of `$EDS_ID`, which is none.
pub fn highlights(stores: &[Uuid]) -> Vec<Widget> {
    let selects: Vec<String> = stores.iter().map(|store| format!("SELECT {COLUMNS} FROM {store}")).collect();
    let events = if stores.is_empty() { "$EDS_ID".to_owned() } else { format!("({})", selects.join(" UNION ")) };
    let written = WRITTEN.iter().find(|written| written.name == HIGHLIGHTS);
    let widgets = written.iter().flat_map(|written| &written.widget);
    let with_events =
        |widget: &WrittenWidget| WrittenWidget { sql: widget.sql.replace("{events}", &events), ..widget.clone() };
    widgets.map(|widget| read(HIGHLIGHTS, &with_events(widget))).collect()
}

fn read(dashboard: &str, written: &WrittenWidget) -> Widget {
    let (statement, parameters) = marked(written.sql.trim());
    let words: Vec<&str> = written.view.split_whitespace().collect();
    let names: &[&str] = match words[0] {
        "LineChart" => &["XAxisColumn", "YAxisColumn", "FilterColumn"],
        "BarChart" | "PieChart" => &["LabelColumn", "ValueColumn"],
        _ => &[],
    };
    let common = [("View", words[0]), ("Title", &*written.title), ("Height", "2"), ("Width", "4")];
    let columns = names.iter().copied().zip(words[1..].iter().copied());
    let view = common.into_iter().chain(columns).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let id = written.title.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    Widget { alias: alias(dashboard, &id), statement, parameters, view: view.collect() }
}

/// The statement with a mark for each parameter that it names, and their names in order.
fn marked(sql: &str) -> (String, Vec<String>) {
    let (mut statement, mut parameters) = (String::new(), Vec::new());
    let mut rest = sql;
    while let Some(start) = rest.find('$') {
        let end = rest[start + 1..].find('$').map(|length| start + length + 2);
        let name = end.map(|end| &rest[start..end]).filter(|name| Parameter::from_name(name).is_some());
        statement.push_str(&rest[..start]);
        match name {
            Some(name) => {
                statement.push('?');
                parameters.push(name.to_owned());
                rest = &rest[start + name.len()..];
            }
            None => {
                statement.push('$');
                rest = &rest[start + 1..];
            }
        }
    }
    statement.push_str(rest);
    (statement, parameters)
}

#[cfg(test)]
mod tests;
