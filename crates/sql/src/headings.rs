//! The headings of a result, as Lake spells them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Query, Select, SelectItem, SetExpr, Visit, Visitor};

use crate::rewrite::output_name;

/// Column names of Lake's schemas that are not all lower case in `SELECT *`.
const SPELLED: &[&str] = &[
    "additionalEventData",
    "apiVersion",
    "awsRegion",
    "edgeDeviceDetails",
    "errorCode",
    "errorMessage",
    "eventCategory",
    "eventContext",
    "eventData",
    "eventDataChecksum",
    "eventID",
    "eventJson",
    "eventJsonChecksum",
    "eventName",
    "eventSource",
    "eventTime",
    "eventType",
    "eventVersion",
    "insightContext",
    "insightDetails",
    "insightErrorCode",
    "insightEventName",
    "insightEventSource",
    "insightSource",
    "insightState",
    "insightType",
    "managementEvent",
    "readOnly",
    "recipientAccountId",
    "requestID",
    "requestParameters",
    "responseElements",
    "serviceEventDetails",
    "sessionCredentialFromConsole",
    "sharedEventID",
    "sourceIPAddress",
    "tlsDetails",
    "userAgent",
    "userIdentity",
    "vpcEndpointAccountId",
    "vpcEndpointId",
];

/// What the columns of `query` are called: by an alias or the last identifier as typed, else `_colN` by position; what
/// a wildcard gives, by its name in Lake's schema, or as a sub-query typed it. `fields` are the planner's names.
pub(crate) fn headings(query: &Query, fields: &[String]) -> Vec<String> {
    let items = outermost(&query.body).map_or(&[][..], |select| &select.projection);
    let is_wildcard = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    let named = items.iter().filter(|item| !is_wildcard(item)).count();
    let wildcards = items.len() - named;
    let typed = typed_names(query);
    let spell = |name: &String| typed.get(name).cloned().unwrap_or_else(|| spelled(name));
    let mut headings = Vec::with_capacity(fields.len());
    for (index, item) in items.iter().enumerate() {
        if is_wildcard(item) {
            let behind = items[index + 1..].iter().filter(|item| !is_wildcard(item)).count();
            let more = items[index + 1..].iter().any(is_wildcard);
            let end = if more {
                // Each wildcard is as wide as the next: they are over the same stores.
                headings.len() + fields.len().saturating_sub(named) / wildcards.max(1)
            } else {
                fields.len().saturating_sub(behind)
            };
            let given = fields.get(headings.len()..end).unwrap_or_default();
            headings.extend(given.iter().map(spell));
        } else {
            let position = headings.len();
            headings.push(output_name(item).map_or_else(|| format!("_col{position}"), |ident| ident.value.clone()));
        }
    }
    let rest = fields.get(headings.len()..).unwrap_or_default().iter().map(spell).collect::<Vec<_>>();
    headings.extend(rest);
    headings.truncate(fields.len());
    headings
}

/// The query's first `SELECT`: it names the columns of a set operation.
fn outermost(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => outermost(&query.body),
        SetExpr::SetOperation { left, .. } => outermost(left),
        _ => None,
    }
}

fn spelled(name: &str) -> String {
    SPELLED
        .iter()
        .find(|spelled| spelled.eq_ignore_ascii_case(name))
        .map_or_else(|| name.to_owned(), |s| (*s).to_owned())
}

/// Aliases anywhere in the query as first typed, by their names in lower case.
fn typed_names(query: &Query) -> BTreeMap<String, String> {
    let mut typed = Typed::default();
    let _: ControlFlow<()> = query.visit(&mut typed);
    typed.0
}

#[derive(Default)]
struct Typed(BTreeMap<String, String>);

impl Visitor for Typed {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.0.entry(alias.value.to_lowercase()).or_insert_with(|| alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for column in query.with.iter().flat_map(|with| &with.cte_tables).flat_map(|cte| &cte.alias.columns) {
            self.0.entry(column.name.value.to_lowercase()).or_insert_with(|| column.name.value.clone());
        }
        ControlFlow::Continue(())
    }
}
