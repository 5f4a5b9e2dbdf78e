//! How a table's columns may change.

use deltalake_core::kernel::{DataType, StructType};

/// Whether a table with the columns `old` can go on with those of `new`: columns, and parts of columns, may be added, and
/// those that are `retyped` may have any type.
///
/// # Errors
/// The first column that stands in the way.
pub(crate) fn grows_to(old: &StructType, new: &StructType, retyped: impl Fn(&str) -> bool) -> Result<(), String> {
    for field in old.fields() {
        let name = field.name();
        let Some(now) = new.field(name) else { return Err(format!("its column {name} is unknown")) };
        if !retyped(name) && !type_grows_to(field.data_type(), now.data_type()) {
            let (old, new) = (field.data_type(), now.data_type());
            return Err(format!("its column {name} is {old} and not {new}"));
        }
    }
    Ok(())
}

fn type_grows_to(old: &DataType, new: &DataType) -> bool {
    match (old, new) {
        (DataType::Struct(old), DataType::Struct(new)) => grows_to(old, new, |_| false).is_ok(),
        (DataType::Array(old), DataType::Array(new)) => type_grows_to(old.element_type(), new.element_type()),
        (DataType::Map(old), DataType::Map(new)) => {
            old.key_type() == new.key_type() && type_grows_to(old.value_type(), new.value_type())
        }
        _ => old == new,
    }
}
