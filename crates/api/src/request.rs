use opentrail_wire::cloudtrail::Operation;
use opentrail_wire::shape::{InputError, Violation};
use opentrail_wire::{Exception, Validate, json};
use serde::de::DeserializeOwned;

use crate::context::Outcome;

/// Reads the input of `operation`, checked against the service model's constraints.
///
/// A value that breaks one gets the operation's own error where one is documented for it, with the words that AWS's
/// front layer has for the constraint.
pub(crate) fn read<T: DeserializeOwned + Validate>(operation: Operation, body: &[u8]) -> Outcome<T> {
    match json::parse_input(body) {
        Ok(input) => Ok(input),
        Err(InputError::Invalid(violations)) => Err(invalid(operation, &violations).into()),
        Err(error @ InputError::Serialization(_)) => Err(Exception::from(error).into()),
    }
}

fn invalid(operation: Operation, violations: &[Violation]) -> Exception {
    let message = Violation::message(violations);
    let path = violations.first().map(|violation| violation.path.as_str()).unwrap_or_default();
    let member = path.split_once('.').map_or(path, |(member, _)| member);
    match (operation, member) {
        (Operation::LookupEvents, "eventCategory") => Exception::invalid_event_category(message),
        (Operation::LookupEvents, "lookupAttributes") => Exception::invalid_lookup_attributes(message),
        (Operation::LookupEvents | Operation::ListEventDataStores, "maxResults") => {
            Exception::invalid_max_results(message)
        }
        (Operation::ListEventDataStores, "nextToken") => Exception::invalid_next_token(message),
        (Operation::PutEventSelectors, "eventSelectors" | "advancedEventSelectors") => {
            Exception::invalid_event_selectors(message)
        }
        (
            Operation::PutResourcePolicy | Operation::GetResourcePolicy | Operation::DeleteResourcePolicy,
            "resourceArn",
        ) => Exception::resource_arn_not_valid(message),
        (Operation::PutInsightSelectors, "insightSelectors") => Exception::invalid_insight_selectors(message),
        (
            Operation::PutEventConfiguration
            | Operation::PutInsightSelectors
            | Operation::GetInsightSelectors
            | Operation::ListInsightsData
            | Operation::ListInsightsMetricData,
            _,
        ) => Exception::invalid_parameter(message),
        (Operation::PutResourcePolicy, "resourcePolicy") => Exception::resource_policy_not_valid(message),
        (
            Operation::AddTags | Operation::CreateDashboard | Operation::CreateTrail | Operation::RemoveTags,
            "tagsList",
        ) => Exception::invalid_tag_parameter(message),
        _ if is_of_imports(operation) => of_imports(operation, member, message),
        (Operation::GenerateQuery, "eventDataStores") if message.contains(OF_AN_ENTRY) => {
            Exception::event_data_store_arn_invalid(message)
        }
        _ if is_of_queries(operation) => of_queries(operation, member, message),
        _ if is_of_stores(operation) => of_stores(member, message),
        _ => Exception::validation(message),
    }
}

fn is_of_imports(operation: Operation) -> bool {
    use Operation as O;
    matches!(operation, O::GetImport | O::ListImportFailures | O::ListImports | O::StartImport | O::StopImport)
}

fn of_imports(operation: Operation, member: &str, message: String) -> Exception {
    match (operation, member) {
        (Operation::StartImport, "destinations") | (Operation::ListImports, "destination") => {
            Exception::event_data_store_arn_invalid(message)
        }
        (Operation::StartImport, "importSource") => Exception::invalid_import_source(message),
        (Operation::ListImports | Operation::ListImportFailures, "nextToken") => Exception::invalid_next_token(message),
        _ => Exception::invalid_parameter(message),
    }
}
/// What the message of a list says when one of its entries is at fault, and not the list.
const OF_AN_ENTRY: &str = "Member must satisfy constraint: [";

fn is_of_queries(operation: Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::CancelQuery
            | O::DescribeQuery
            | O::GenerateQuery
            | O::GetQueryResults
            | O::ListQueries
            | O::SearchSampleQueries
            | O::StartQuery
    )
}

fn of_queries(operation: Operation, member: &str, message: String) -> Exception {
    match (operation, member) {
        (_, "eventDataStore") => Exception::event_data_store_arn_invalid(message),
        (Operation::StartQuery, "queryStatement") => Exception::invalid_query_statement(message),
        (Operation::GetQueryResults, "maxQueryResults") | (Operation::ListQueries, "maxResults") => {
            Exception::invalid_max_results(message)
        }
        (Operation::GetQueryResults | Operation::ListQueries, "nextToken") => Exception::invalid_next_token(message),
        (Operation::ListQueries, "queryStatus") => Exception::invalid_query_status(message),
        _ => Exception::invalid_parameter(message),
    }
}

/// Whether the operation declares InvalidParameterException and errors of its own for the members of event data stores.
fn is_of_stores(operation: Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::CreateEventDataStore
            | O::DeleteEventDataStore
            | O::DisableFederation
            | O::EnableFederation
            | O::GetEventDataStore
            | O::RestoreEventDataStore
            | O::StartEventDataStoreIngestion
            | O::StopEventDataStoreIngestion
            | O::UpdateEventDataStore
    )
}

fn of_stores(member: &str, message: String) -> Exception {
    match member {
        "eventDataStore" => Exception::event_data_store_arn_invalid(message),
        "advancedEventSelectors" => Exception::invalid_event_selectors(message),
        "kmsKeyId" => Exception::invalid_kms_key_id(message),
        "tagsList" => Exception::invalid_tag_parameter(message),
        _ => Exception::invalid_parameter(message),
    }
}
