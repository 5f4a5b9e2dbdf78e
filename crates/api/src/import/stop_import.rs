use opentrail_wire::cloudtrail::{StopImportInput, StopImportOutput};

use super::shapes;
use crate::access::Access;
use crate::context::{Context, Outcome};

/// Stops an import. What it has imported stays; after the answer nothing more comes.
pub(crate) async fn stop_import(cx: Context<'_>, input: StopImportInput) -> Outcome<StopImportOutput> {
    cx.authorize(Access::anywhere("StopImport"))?;
    let import = cx.services.imports.stop(&cx.import_key(&input.import_id)?).await?;
    Ok(StopImportOutput {
        import_id: Some(import.key.id.to_string()),
        import_source: Some(shapes::source(&import)),
        destinations: Some(shapes::destinations(&import)),
        import_status: Some(import.status.as_str().to_owned()),
        created_timestamp: Some(import.created),
        updated_timestamp: Some(import.updated),
        start_event_time: import.start,
        end_event_time: import.end,
        import_statistics: Some(shapes::statistics(&import)),
    })
}
