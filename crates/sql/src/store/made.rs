//! Columns of Lake that are made of what is stored.
//!
//! `eventjson` is the record, where the event is shown as it came. What Lake's `eventjsonchecksum` is made with is not
//! published: here it is the SHA-256 of `eventjson`, in lower-case hexadecimal, which anybody can check.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use datafusion::arrow::array::{Array, AsArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_expr::PhysicalExpr;

use super::provider::{RAW, column};

const EVENT_JSON: &str = "eventjson";
const CHECKSUM: &str = "eventjsonchecksum";

/// Whether it is one of them.
pub(super) fn is_made(name: &str) -> bool {
    matches!(name, EVENT_JSON | CHECKSUM)
}

/// The numbers of the stored columns that the wanted ones are made of.
pub(super) fn sources(wanted: &Schema, stored: &Schema) -> Result<Vec<usize>> {
    let mut names: Vec<&str> = wanted.fields().iter().map(|field| field.name().as_str()).collect();
    if names.iter().any(|name| is_made(name)) {
        names.retain(|name| !is_made(name));
        names.extend([EVENT_JSON, RAW]);
    }
    let number = |name| -> Result<usize> { Ok(stored.index_of(name)?) };
    names.into_iter().map(number).collect()
}

/// Expressions, each beside the name of its column.
type Made = Vec<(Arc<dyn PhysicalExpr>, String)>;

/// How the wanted columns are made of those found; `None` when they are the same.
pub(super) fn expressions(wanted: &Schema, found: &Arc<Schema>, state: &dyn Session) -> Result<Option<Made>> {
    if !wanted.fields().iter().any(|field| is_made(field.name())) {
        return Ok(None);
    }
    let schema = DFSchema::try_from(Arc::clone(found))?;
    let made = wanted.fields().iter().map(|field| -> Result<(Arc<dyn PhysicalExpr>, String)> {
        let name = field.name();
        let expression = match is_made(name) {
            true => ScalarUDF::from(Shown::new(name == CHECKSUM)).call(vec![column(EVENT_JSON), column(RAW)]),
            false => column(name),
        };
        Ok((state.create_physical_expr(expression, &schema)?, name.clone()))
    });
    made.collect::<Result<_>>().map(Some)
}

/// The event as its store shows it, or the checksum of that. No statement can name this function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shown {
    checksum: bool,
    signature: Signature,
}

impl Shown {
    fn new(checksum: bool) -> Self {
        Self { checksum, signature: Signature::exact(vec![DataType::Utf8, DataType::Binary], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Shown {
    fn name(&self) -> &str {
        if self.checksum { CHECKSUM } else { EVENT_JSON }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [shown, raw] = &arrays[..] else { return exec_err!("an event is made of two columns") };
        let (shown, raw) = (shown.as_string::<i32>(), raw.as_binary::<i32>());
        let mut made = StringBuilder::with_capacity(raw.len(), if self.checksum { raw.len() * 64 } else { 0 });
        for row in 0..raw.len() {
            let event = if shown.is_valid(row) { shown.value(row).as_bytes() } else { raw.value(row) };
            match self.checksum {
                true => made.append_value(hex::encode(digest(&SHA256, event))),
                false => made.append_value(String::from_utf8_lossy(event)),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(made.finish())))
    }
}
