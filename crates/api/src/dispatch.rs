use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use opentrail_identity::Call;
use opentrail_wire::cloudtrail::Operation;
use opentrail_wire::cloudtrail_data::Operation as DataOperation;
use opentrail_wire::{Exception, json, rest};
use serde::Serialize;
use tracing::error;

use crate::audit::put_audit_events;
use crate::channel::{create_channel, delete_channel, get_channel, list_channels, update_channel};
use crate::context::{Context, Outcome, Reply, Services};
use crate::dashboard::{
    create_dashboard, delete_dashboard, get_dashboard, list_dashboards, start_dashboard_refresh, update_dashboard,
};
use crate::delegation::{deregister_organization_delegated_admin, register_organization_delegated_admin};
use crate::error::ApiError;
use crate::event::lookup_events;
use crate::event_configuration::{get_event_configuration, put_event_configuration};
use crate::federation::{disable_federation, enable_federation};
use crate::import::{get_import, list_import_failures, list_imports, start_import, stop_import};
use crate::insight::{get_insight_selectors, list_insights_data, list_insights_metric_data, put_insight_selectors};
use crate::key::list_public_keys;
use crate::organizations::change::Committed;
use crate::policy::{delete_resource_policy, get_resource_policy, put_resource_policy};
use crate::query::{
    cancel_query, describe_query, generate_query, get_query_results, list_queries, search_sample_queries, start_query,
};
use crate::request::read;
use crate::selector::{get_event_selectors, put_event_selectors};
use crate::store::{
    create_event_data_store, delete_event_data_store, get_event_data_store, list_event_data_stores,
    restore_event_data_store, start_event_data_store_ingestion, stop_event_data_store_ingestion,
    update_event_data_store,
};
use crate::tag::{add_tags, list_tags, remove_tags};
use crate::trail::{
    Change, Changed, create_trail, delete_trail, describe_trails, get_trail, get_trail_status, list_trails,
    start_logging, stop_logging, update_trail,
};

/// Answers a call of `cloudtrail` (awsJson 1.1).
///
/// # Cancellation
/// A change may be in the catalog and not in the journal. Let the future run to its end even when the client is gone.
pub async fn cloudtrail(services: &Services, call: &Call, headers: &HeaderMap, body: &Bytes) -> Reply {
    let cx = Context { services, call };
    let (operation, done) = match operation(headers) {
        Ok(operation) => (operation.name(), run(cx, operation, body).await),
        Err(error) => ("unknown", Err(error)),
    };
    count(operation, done.as_ref().err());
    match done {
        Ok(Done { response, committed }) => reply(response, committed),
        Err(ApiError(exception)) => reply(json::respond_exception(&exception, &call.request_id), None),
    }
}

/// Answers a call of `cloudtrail-data` (restJson).
pub async fn cloudtrail_data(services: &Services, call: &Call, head: &Parts, body: &Bytes) -> Reply {
    let cx = Context { services, call };
    let done = match rest::operation_of(&head.method, head.uri.path()) {
        Ok(DataOperation::PutAuditEvents) => put_audit_events(cx, &head.uri, body).await,
        Err(unknown) => Err(unknown.into()),
    };
    count("PutAuditEvents", done.as_ref().err());
    match done {
        Ok((output, audited)) => Reply { audited, ..Reply::answer(rest::respond(&output, &call.request_id)) },
        Err(ApiError(exception)) => Reply::answer(rest::respond_exception(&exception, &call.request_id)),
    }
}

/// An operation's answer, and what it changed.
struct Done {
    response: Response<Bytes>,
    committed: Option<Committed>,
}

fn operation(headers: &HeaderMap) -> Outcome<Operation> {
    let name = json::operation_of(headers)?;
    let unknown = || Exception::unknown_operation(format!("{name} is no operation of CloudTrail."));
    Ok(Operation::from_name(name).ok_or_else(unknown)?)
}

async fn run(cx: Context<'_>, operation: Operation, body: &Bytes) -> Outcome<Done> {
    if let Some(quotas) = &cx.services.quotas
        && quotas.take(cx.account(), cx.region(), operation.name()).is_err()
    {
        return Err(Exception::throttling().into());
    }
    let done = handle(cx, operation, body).await;
    if let Err(error) = &done
        && !error.is_declared_by(operation)
    {
        error!(operation = operation.name(), error = %error.0, "the operation answers an error that it does not declare");
        debug_assert!(false, "{} does not declare {}", operation.name(), error.0);
    }
    done
}

async fn handle(cx: Context<'_>, operation: Operation, body: &Bytes) -> Outcome<Done> {
    match operation {
        Operation::CreateTrail => changed(cx, create_trail(cx, read(operation, body)?).await?),
        Operation::UpdateTrail => changed(cx, update_trail(cx, read(operation, body)?).await?),
        Operation::DeleteTrail => changed(cx, delete_trail(cx, read(operation, body)?).await?),
        Operation::GetTrail => answered(cx, &get_trail(cx, read(operation, body)?).await?),
        Operation::DescribeTrails => answered(cx, &describe_trails(cx, read(operation, body)?).await?),
        Operation::ListTrails => answered(cx, &list_trails(cx, read(operation, body)?).await?),
        Operation::GetTrailStatus => answered(cx, &get_trail_status(cx, read(operation, body)?).await?),
        Operation::StartLogging => changed(cx, start_logging(cx, read(operation, body)?).await?),
        Operation::StopLogging => changed(cx, stop_logging(cx, read(operation, body)?).await?),
        Operation::PutEventSelectors => changed(cx, put_event_selectors(cx, read(operation, body)?).await?),
        Operation::GetEventSelectors => answered(cx, &get_event_selectors(cx, read(operation, body)?).await?),
        Operation::PutEventConfiguration => changed(cx, put_event_configuration(cx, read(operation, body)?).await?),
        Operation::GetEventConfiguration => answered(cx, &get_event_configuration(cx, read(operation, body)?).await?),
        Operation::AddTags => changed(cx, add_tags(cx, read(operation, body)?).await?),
        Operation::RemoveTags => changed(cx, remove_tags(cx, read(operation, body)?).await?),
        Operation::ListTags => answered(cx, &list_tags(cx, read(operation, body)?).await?),
        Operation::ListPublicKeys => answered(cx, &list_public_keys(cx, read(operation, body)?).await?),
        Operation::RegisterOrganizationDelegatedAdmin => {
            committed(cx, register_organization_delegated_admin(cx, read(operation, body)?).await?)
        }
        Operation::DeregisterOrganizationDelegatedAdmin => {
            committed(cx, deregister_organization_delegated_admin(cx, read(operation, body)?).await?)
        }
        Operation::LookupEvents => answered(cx, &lookup_events(cx, read(operation, body)?).await?),
        other => handle_store(cx, other, body).await,
    }
}

/// Operations on event data stores, channels and the policies of resources.
async fn handle_store(cx: Context<'_>, operation: Operation, body: &Bytes) -> Outcome<Done> {
    use Operation as O;
    match operation {
        O::CreateEventDataStore => changed(cx, create_event_data_store(cx, read(operation, body)?).await?),
        O::UpdateEventDataStore => changed(cx, update_event_data_store(cx, read(operation, body)?).await?),
        O::DeleteEventDataStore => changed(cx, delete_event_data_store(cx, read(operation, body)?).await?),
        O::EnableFederation => changed(cx, enable_federation(cx, read(operation, body)?).await?),
        O::DisableFederation => changed(cx, disable_federation(cx, read(operation, body)?).await?),
        O::RestoreEventDataStore => changed(cx, restore_event_data_store(cx, read(operation, body)?).await?),
        O::GetEventDataStore => answered(cx, &get_event_data_store(cx, read(operation, body)?).await?),
        O::ListEventDataStores => answered(cx, &list_event_data_stores(cx, read(operation, body)?).await?),
        O::CreateChannel => committed(cx, create_channel(cx, read(operation, body)?).await?),
        O::UpdateChannel => committed(cx, update_channel(cx, read(operation, body)?).await?),
        O::DeleteChannel => committed(cx, delete_channel(cx, read(operation, body)?).await?),
        O::GetChannel => answered(cx, &get_channel(cx, read(operation, body)?).await?),
        O::ListChannels => answered(cx, &list_channels(cx, read(operation, body)?).await?),
        O::PutResourcePolicy => answered(cx, &put_resource_policy(cx, read(operation, body)?).await?),
        O::GetResourcePolicy => answered(cx, &get_resource_policy(cx, read(operation, body)?).await?),
        O::DeleteResourcePolicy => answered(cx, &delete_resource_policy(cx, read(operation, body)?).await?),
        O::StartEventDataStoreIngestion => {
            changed(cx, start_event_data_store_ingestion(cx, read(operation, body)?).await?)
        }
        O::StopEventDataStoreIngestion => {
            changed(cx, stop_event_data_store_ingestion(cx, read(operation, body)?).await?)
        }
        other => handle_query(cx, other, body).await,
    }
}

/// Operations on queries and imports.
async fn handle_query(cx: Context<'_>, operation: Operation, body: &Bytes) -> Outcome<Done> {
    use Operation as O;
    match operation {
        O::StartImport => answered(cx, &start_import(cx, read(operation, body)?).await?),
        O::GetImport => answered(cx, &get_import(cx, read(operation, body)?).await?),
        O::StopImport => answered(cx, &stop_import(cx, read(operation, body)?).await?),
        O::ListImports => answered(cx, &list_imports(cx, read(operation, body)?).await?),
        O::ListImportFailures => answered(cx, &list_import_failures(cx, read(operation, body)?).await?),
        O::StartQuery => answered(cx, &start_query(cx, read(operation, body)?).await?),
        O::DescribeQuery => answered(cx, &describe_query(cx, read(operation, body)?).await?),
        O::GetQueryResults => answered(cx, &get_query_results(cx, read(operation, body)?).await?),
        O::CancelQuery => answered(cx, &cancel_query(cx, read(operation, body)?).await?),
        O::ListQueries => answered(cx, &list_queries(cx, read(operation, body)?).await?),
        O::GenerateQuery => answered(cx, &generate_query(cx, read(operation, body)?).await?),
        O::SearchSampleQueries => answered(cx, &search_sample_queries(cx, read(operation, body)?).await?),
        other => handle_dashboard(cx, other, body).await,
    }
}

/// Operations on dashboards.
async fn handle_dashboard(cx: Context<'_>, operation: Operation, body: &Bytes) -> Outcome<Done> {
    use Operation as O;
    match operation {
        O::CreateDashboard => answered(cx, &create_dashboard(cx, read(operation, body)?).await?),
        O::UpdateDashboard => answered(cx, &update_dashboard(cx, read(operation, body)?).await?),
        O::DeleteDashboard => answered(cx, &delete_dashboard(cx, read(operation, body)?).await?),
        O::GetDashboard => answered(cx, &get_dashboard(cx, read(operation, body)?).await?),
        O::ListDashboards => answered(cx, &list_dashboards(cx, read(operation, body)?).await?),
        O::StartDashboardRefresh => answered(cx, &start_dashboard_refresh(cx, read(operation, body)?).await?),
        other => handle_insight(cx, other, body).await,
    }
}

/// Operations on Insights.
async fn handle_insight(cx: Context<'_>, operation: Operation, body: &Bytes) -> Outcome<Done> {
    use Operation as O;
    match operation {
        O::PutInsightSelectors => {
            let (output, committed) = put_insight_selectors(cx, read(operation, body)?).await?;
            Ok(Done { response: json::respond(&output, &cx.call.request_id), committed })
        }
        O::GetInsightSelectors => answered(cx, &get_insight_selectors(cx, read(operation, body)?).await?),
        O::ListInsightsData => answered(cx, &list_insights_data(cx, read(operation, body)?).await?),
        O::ListInsightsMetricData => answered(cx, &list_insights_metric_data(cx, read(operation, body)?).await?),
        other => Err(not_built(other.name()).into()),
    }
}

fn changed<T: Serialize>(cx: Context<'_>, changed: Changed<T>) -> Outcome<Done> {
    let committed = |Change { change, order, turn }| Committed { changes: vec![change], order, turn: Some(turn) };
    let response = json::respond(&changed.output, &cx.call.request_id);
    Ok(Done { response, committed: changed.change.map(committed) })
}

fn committed<T: Serialize>(cx: Context<'_>, (output, committed): (T, Committed)) -> Outcome<Done> {
    Ok(Done { response: json::respond(&output, &cx.call.request_id), committed: Some(committed) })
}

fn answered(cx: Context<'_>, output: &impl Serialize) -> Outcome<Done> {
    Ok(Done { response: json::respond(output, &cx.call.request_id), committed: None })
}

/// What an operation answers that only a later service model knows.
fn not_built(operation: &str) -> Exception {
    Exception::unsupported_operation(format!("{operation} is not built yet in this version of OpenTrail."))
}

fn reply(response: Response<Bytes>, committed: Option<Committed>) -> Reply {
    match committed {
        Some(Committed { changes, order, turn }) => Reply { changes, order, turn, ..Reply::answer(response) },
        None => Reply::answer(response),
    }
}

fn count(operation: &'static str, error: Option<&ApiError>) {
    let error = error.map_or_else(String::new, |error| error.0.name.to_string());
    metrics::counter!("opentrail_api_calls_total", "operation" => operation, "error" => error).increment(1);
}
