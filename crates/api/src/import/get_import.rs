use opentrail_wire::cloudtrail::{GetImportInput, GetImportOutput};

use super::shapes;
use crate::access::Access;
use crate::context::{Context, Outcome};

/// An import's state. Its statistics are those of the events that are in the store, chunk by chunk.
pub(crate) async fn get_import(cx: Context<'_>, input: GetImportInput) -> Outcome<GetImportOutput> {
    cx.authorize(Access::anywhere("GetImport"))?;
    let import = cx.services.imports.find(&cx.import_key(&input.import_id)?).await?;
    Ok(GetImportOutput {
        import_id: Some(import.key.id.to_string()),
        destinations: Some(shapes::destinations(&import)),
        import_source: Some(shapes::source(&import)),
        start_event_time: import.start,
        end_event_time: import.end,
        import_status: Some(import.status.as_str().to_owned()),
        created_timestamp: Some(import.created),
        updated_timestamp: Some(import.updated),
        import_statistics: Some(shapes::statistics(&import)),
    })
}
