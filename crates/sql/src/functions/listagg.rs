//! `listagg`: the planner's `string_agg`, whose values end before they fill the memory.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature};

use super::tally::{VALUE_BYTES, exhausted};

/// What one value may keep of its parts until they are joined: they share memory with rows that go. A choice.
const KEPT_BYTES: usize = 64 << 20;

/// The planner's function `string_agg`, bounded.
pub(super) fn bounded(string_agg: &Arc<AggregateUDF>) -> AggregateUDF {
    AggregateUDF::new_from_impl(ListAgg { inner: Arc::clone(string_agg) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ListAgg {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for ListAgg {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Bounded { inner: self.inner.accumulator(args)? }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    /// The inner one would take itself in place of this.
    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }
}

/// One value as it grows.
#[derive(Debug)]
struct Bounded {
    inner: Box<dyn Accumulator>,
}

impl Bounded {
    fn check(&self) -> Result<()> {
        if self.inner.size() > KEPT_BYTES { Err(exhausted()) } else { Ok(()) }
    }
}

impl Accumulator for Bounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)?;
        self.check()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)?;
        self.check()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        if value.size() > VALUE_BYTES { Err(exhausted()) } else { Ok(value) }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}
