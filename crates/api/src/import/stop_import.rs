use opentrail_wire::cloudtrail::{StopImportInput, StopImportOutput};

use super::shapes;
use crate::access::Access;
use crate::context::{Context, Outcome};

/// Stops an import. What it has imported stays; after the answer nothing more comes.
pub(crate) async fn stop_import(cx: Context<'_>, input: StopImportInput) -> Outcome<StopImportOutput> {
    cx.authorize(Access::anywhere("StopImport"))?;
    let import = cx.services.imports.stop(&cx.import_key(&input.import_id)?).await?;
    Ok(shapes::described!(StopImportOutput, import, import_statistics: shapes::statistics(&import)))
}
