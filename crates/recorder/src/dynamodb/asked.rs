//! DynamoDB's operations as IAM actions.

use serde_json::Value;

use crate::asked::{Ask, on_each};
use crate::draft::Draft;
use crate::partiql::{self, Verb};
use crate::resources::dynamodb::{ENTRIES, list, object, statements};

/// What a call asks for; `None` for a statement that cannot be read. Transactions ask for what their entries do, PartiQL
/// for actions of its own. (DynamoDB Developer Guide, "DynamoDB API permissions", "Using IAM with transactions", "IAM
/// security policies with PartiQL".)
pub(crate) fn asked(draft: &Draft, request: &Value) -> Option<Vec<Ask>> {
    match draft.event_name.as_str() {
        "TransactGetItems" | "TransactWriteItems" => {
            let mut asks = Vec::new();
            for entry in list(request, "TransactItems") {
                for kind in ENTRIES {
                    let Some(table) = object(entry, kind).and_then(|entry| entry.get("TableName")?.as_str()) else {
                        continue;
                    };
                    let action = match *kind {
                        "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
                        kind => format!("dynamodb:{kind}Item"),
                    };
                    add(&mut asks, Ask::new(action, arn_of(draft, table)?));
                }
            }
            Some(if asks.is_empty() { on_each(draft, &format!("dynamodb:{}", draft.event_name)) } else { asks })
        }
        "ExecuteStatement" | "BatchExecuteStatement" | "ExecuteTransaction" => {
            let mut asks = Vec::new();
            for statement in statements(request) {
                let (verb, table) = partiql::table_of(statement)?;
                let action = match verb {
                    Verb::Select => "dynamodb:PartiQLSelect",
                    Verb::Insert => "dynamodb:PartiQLInsert",
                    Verb::Update => "dynamodb:PartiQLUpdate",
                    Verb::Delete => "dynamodb:PartiQLDelete",
                };
                add(&mut asks, Ask::new(action, arn_of(draft, &table)?));
            }
            (!asks.is_empty()).then_some(asks)
        }
        name => Some(on_each(draft, &format!("dynamodb:{name}"))),
    }
}

/// The ARN among the record's resources that a table's name stands for.
fn arn_of(draft: &Draft, table: &str) -> Option<String> {
    let mut arns = draft.resources.iter().filter_map(|resource| resource["ARN"].as_str());
    let found = arns.find(|arn| *arn == table || arn.rsplit_once(":table/").is_some_and(|(_, name)| name == table));
    found.map(str::to_owned)
}

fn add(asks: &mut Vec<Ask>, ask: Ask) {
    if !asks.contains(&ask) {
        asks.push(ask);
    }
}
