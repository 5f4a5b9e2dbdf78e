use bytes::Bytes;
use http::{HeaderMap, Response};
use opentrail_identity::Call;
use opentrail_wire::organizations::{OTHERS, Operation};
use opentrail_wire::{Exception, Validate, json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use super::asked::Asked;
use super::change::Committed;
use super::error::{self as told, Refusal};
use super::{
    Outcome, account, create_account, delegate, features, handshake, invitation, organization, service_access, tag,
    unit,
};
use crate::context::{CallResult, Context, Reply, Services};

/// Errors that every operation can answer, beside those it declares.
const COMMON: [&str; 4] =
    ["AccessDeniedException", "SerializationException", "ServiceException", "UnknownOperationException"];

/// Answers a call of `organizations` (awsJson 1.1).
///
/// # Cancellation
/// A change may be stored and neither in force nor in the journal. Let the future run to its end even when the client is
/// gone.
pub async fn organizations(services: &Services, call: &Call, headers: &HeaderMap, body: &Bytes) -> Reply {
    let cx = Context { services, call };
    let (operation, done) = match operation(headers) {
        Ok(operation) => (operation.name(), run(cx, operation, body).await),
        Err(error) => ("unknown", Err(error)),
    };
    let error = done.as_ref().err().map_or_else(String::new, |refusal| refusal.exception.name.to_string());
    metrics::counter!("opentrail_api_organizations_calls_total", "operation" => operation, "error" => error)
        .increment(1);
    match done {
        Ok(Done { response, committed: Some(Committed { changes, order, turn }), results }) => {
            Reply { changes, order, turn, results, ..Reply::answer(response) }
        }
        Ok(Done { response, committed: None, .. }) => Reply::answer(response),
        Err(Refusal { exception, reason }) => {
            let more: Vec<_> = reason.map(|reason| ("Reason", reason)).into_iter().collect();
            Reply::answer(json::respond_error(&exception, "Message", &more, &call.request_id))
        }
    }
}

fn operation(headers: &HeaderMap) -> Outcome<Operation> {
    let name = json::operation_of(headers)?;
    match Operation::from_name(name) {
        Some(operation) => Ok(operation),
        None if OTHERS.contains(&name) => Err(told::unsupported(name)),
        None => Err(Exception::unknown_operation(format!("{name} is no operation of Organizations.")).into()),
    }
}

/// An operation's answer, and what its change led to.
struct Done {
    response: Response<Bytes>,
    committed: Option<Committed>,
    results: Vec<CallResult>,
}

async fn run(cx: Context<'_>, operation: Operation, body: &Bytes) -> Outcome<Done> {
    let asked = Asked::new(cx, operation).await;
    let done = handle(asked, cx, operation, body).await;
    if let Err(Refusal { exception, .. }) = &done
        && !operation.errors().contains(&&*exception.name)
        && !COMMON.contains(&&*exception.name)
    {
        error!(operation = operation.name(), error = %exception, "the operation answers an error that it does not declare");
        debug_assert!(false, "{} does not declare {exception}", operation.name());
    }
    done
}

async fn handle(asked: Asked<'_>, cx: Context<'_>, operation: Operation, body: &[u8]) -> Outcome<Done> {
    match operation {
        Operation::AcceptHandshake => changed(cx, handshake::accept_handshake(asked, read(body)?).await?),
        Operation::CancelHandshake => changed(cx, handshake::cancel_handshake(asked, read(body)?).await?),
        Operation::CloseAccount => {
            let (committed, result) = account::close_account(asked, read(body)?).await?;
            Ok(Done { results: vec![result], ..done(cx, committed)? })
        }
        Operation::CreateAccount => {
            let (output, committed, result) = create_account::create_account(asked, read(body)?).await?;
            Ok(Done { results: vec![result], ..changed(cx, (output, committed))? })
        }
        Operation::CreateOrganization => changed(cx, organization::create_organization(asked, read(body)?).await?),
        Operation::CreateOrganizationalUnit => changed(cx, unit::create_unit(asked, read(body)?).await?),
        Operation::DeclineHandshake => changed(cx, handshake::decline_handshake(asked, read(body)?).await?),
        Operation::DeleteOrganization => done(cx, organization::delete_organization(asked).await?),
        Operation::DeleteOrganizationalUnit => done(cx, unit::delete_unit(asked, read(body)?).await?),
        Operation::DeregisterDelegatedAdministrator => done(cx, delegate::deregister(asked, read(body)?).await?),
        Operation::DescribeAccount => answer(cx, &account::describe_account(&asked, &read(body)?)?),
        Operation::DescribeCreateAccountStatus => answer(cx, &create_account::describe_status(&asked, &read(body)?)?),
        Operation::DescribeHandshake => answer(cx, &handshake::describe_handshake(&asked, &read(body)?)?),
        Operation::DescribeOrganization => answer(cx, &organization::describe_organization(&asked)?),
        Operation::DescribeOrganizationalUnit => answer(cx, &unit::describe_unit(&asked, &read(body)?)?),
        Operation::DisableAWSServiceAccess => done(cx, service_access::disable(asked, read(body)?).await?),
        Operation::EnableAWSServiceAccess => done(cx, service_access::enable(asked, read(body)?).await?),
        Operation::EnableAllFeatures => changed(cx, features::enable_all_features(asked).await?),
        Operation::InviteAccountToOrganization => changed(cx, invitation::invite_account(asked, read(body)?).await?),
        Operation::LeaveOrganization => done(cx, organization::leave_organization(asked).await?),
        Operation::ListAWSServiceAccessForOrganization => answer(cx, &service_access::list(&asked, &read(body)?)?),
        Operation::ListAccounts => answer(cx, &account::list_accounts(&asked, &read(body)?)?),
        Operation::ListAccountsForParent => answer(cx, &account::list_accounts_for_parent(&asked, &read(body)?)?),
        Operation::ListChildren => answer(cx, &unit::list_children(&asked, &read(body)?)?),
        Operation::ListCreateAccountStatus => answer(cx, &create_account::list_statuses(&asked, &read(body)?)?),
        Operation::ListDelegatedAdministrators => answer(cx, &delegate::list(&asked, &read(body)?)?),
        Operation::ListDelegatedServicesForAccount => answer(cx, &delegate::list_services(&asked, &read(body)?)?),
        Operation::ListHandshakesForAccount => answer(cx, &handshake::list_for_account(&asked, &read(body)?)?),
        Operation::ListHandshakesForOrganization => {
            answer(cx, &handshake::list_for_organization(&asked, &read(body)?)?)
        }
        Operation::ListOrganizationalUnitsForParent => answer(cx, &unit::list_units_for_parent(&asked, &read(body)?)?),
        Operation::ListParents => answer(cx, &unit::list_parents(&asked, &read(body)?)?),
        Operation::ListRoots => answer(cx, &organization::list_roots(&asked, &read(body)?)?),
        Operation::ListTagsForResource => answer(cx, &tag::list_tags(&asked, &read(body)?)?),
        Operation::MoveAccount => done(cx, account::move_account(asked, read(body)?).await?),
        Operation::RegisterDelegatedAdministrator => done(cx, delegate::register(asked, read(body)?).await?),
        Operation::RemoveAccountFromOrganization => done(cx, account::remove_account(asked, read(body)?).await?),
        Operation::TagResource => done(cx, tag::tag_resource(asked, read(body)?).await?),
        Operation::UntagResource => done(cx, tag::untag_resource(asked, read(body)?).await?),
        Operation::UpdateOrganizationalUnit => changed(cx, unit::update_unit(asked, read(body)?).await?),
    }
}

fn read<T: DeserializeOwned + Validate>(body: &[u8]) -> Outcome<T> {
    Ok(json::parse_input(body)?)
}

fn answer(cx: Context<'_>, output: &impl Serialize) -> Outcome<Done> {
    Ok(Done { response: json::respond(output, &cx.call.request_id), committed: None, results: Vec::new() })
}

fn changed<T: Serialize>(cx: Context<'_>, (output, committed): (T, Committed)) -> Outcome<Done> {
    Ok(Done { committed: Some(committed), ..answer(cx, &output)? })
}

/// Operations without output answer an empty body.
fn done(cx: Context<'_>, committed: Committed) -> Outcome<Done> {
    let response = json::respond_nothing(&cx.call.request_id);
    Ok(Done { response, committed: Some(committed), results: Vec::new() })
}
