use opentrail_imports::{Import, NewImport};
use opentrail_stores::Kind;
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::{ImportSource, StartImportInput, StartImportOutput};

use super::{shapes, source};
use crate::access::Access;
use crate::context::{Context, Outcome};

/// What StartImport is not given as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ImportInputError {
    /// AWS has no error for it; a choice.
    #[error("Give Destinations and ImportSource to start an import, or ImportId alone to start one again.")]
    Combination,
    #[error("StartEventTime is after EndEventTime.")]
    Times,
    #[error("There is no import with this ImportId.")]
    Unknown,
}

/// Starts an import of log files into an event data store of the caller's account, or starts one again that failed or was
/// stopped.
pub(crate) async fn start_import(cx: Context<'_>, input: StartImportInput) -> Outcome<StartImportOutput> {
    let StartImportInput { destinations, import_source, start_event_time, end_event_time, import_id } = input;
    let import = match (import_id, destinations, import_source) {
        (Some(id), None, None) if start_event_time.is_none() && end_event_time.is_none() => retry(cx, &id).await?,
        (None, Some(destinations), Some(ImportSource { s3 })) => {
            if let (Some(start), Some(end)) = (start_event_time, end_event_time)
                && start > end
            {
                return Err(ImportInputError::Times.into());
            }
            let [destination] = &destinations[..] else { return Err(ImportInputError::Combination.into()) };
            let times = (start_event_time, end_event_time);
            start(cx, destination, s3, times).await?
        }
        _ => return Err(ImportInputError::Combination.into()),
    };
    Ok(shapes::described!(StartImportOutput, import))
}

type Times = (Option<opentrail_model::Timestamp>, Option<opentrail_model::Timestamp>);

async fn start(
    cx: Context<'_>,
    destination: &str,
    s3: opentrail_wire::cloudtrail::S3ImportSource,
    (start, end): Times,
) -> Outcome<Import> {
    let store = require_store(cx, destination).await?;
    let origin = source::parse(s3, cx.account())?;
    cx.authorize(Access::to_pass(&origin.role))?;
    let imports = &cx.services.imports;
    imports.require_none_ongoing(cx.account())?;
    imports.check(&origin, &store).await?;
    // Neither is the store deleted meanwhile, nor changed while the import is not known to be under way.
    let _turn = cx.services.turns.take(store.account).await;
    require_store(cx, destination).await?;
    let new = NewImport { destination: store, origin, start, end };
    Ok(imports.start(cx.region().clone(), new).await?)
}

async fn retry(cx: Context<'_>, id: &str) -> Outcome<Import> {
    let imports = &cx.services.imports;
    let key = cx.import_key(id)?;
    let import = match imports.find(&key).await {
        Ok(import) => import,
        Err(error) => {
            // Of an import that is not there only those hear who may start any.
            cx.authorize(Access::anywhere("StartImport"))?;
            return Err(error.into());
        }
    };
    let destination = import.destination.arn();
    require_store(cx, destination.as_str()).await?;
    cx.authorize(Access::to_pass(&import.origin.role))?;
    imports.require_none_ongoing(cx.account())?;
    imports.check(&import.origin, &import.destination).await?;
    let _turn = cx.services.turns.take(import.destination.account).await;
    require_store(cx, destination.as_str()).await?;
    Ok(imports.retry(&key).await?)
}

/// The store, which the caller may import into.
async fn require_store(cx: Context<'_>, text: &str) -> Outcome<opentrail_stores::StoreKey> {
    let store = cx.authorize_store("StartImport", text).await?.require_active()?.value;
    if store.key.account != cx.account() {
        // (User Guide, "Copying trail events to an organization event data store".)
        let message = format!("Only the account that owns {} can import events into it.", store.arn());
        return Err(Exception::operation_not_permitted(message).into());
    }
    if store.kind() != Kind::CloudTrail {
        let message = format!("{} does not collect CloudTrail events: nothing can be imported into it.", store.arn());
        return Err(Exception::invalid_event_data_store_category(message).into());
    }
    Ok(store.key)
}
