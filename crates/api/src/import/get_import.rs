use opentrail_wire::cloudtrail::{GetImportInput, GetImportOutput};

use super::shapes;
use crate::access::Access;
use crate::context::{Context, Outcome};

/// An import's state. Its statistics are those of the events that are in the store, chunk by chunk.
pub(crate) async fn get_import(cx: Context<'_>, input: GetImportInput) -> Outcome<GetImportOutput> {
    cx.authorize(Access::anywhere("GetImport"))?;
    let import = cx.services.imports.find(&cx.import_key(&input.import_id)?).await?;
    Ok(shapes::described!(GetImportOutput, import, import_statistics: shapes::statistics(&import)))
}
