use toml::{Table, Value};

const PREFIX: &str = "OPENTRAIL_";

/// Lays variables named `OPENTRAIL_SECTION__KEY` over the table. Names without `__` are not ours to read.
///
/// A value that reads as a TOML number, boolean or list is one; everything else is a text.
pub(super) fn overlay(table: &mut Table, environment: impl IntoIterator<Item = (String, String)>) {
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains("__")) else { continue };
        let path = path.to_ascii_lowercase();
        let parts: Vec<&str> = path.split("__").collect();
        put(table, &parts, parse(&value));
    }
}

fn put(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [section, rest @ ..] => match table.entry((*section).to_owned()).or_insert_with(|| Table::new().into()) {
            Value::Table(inner) => put(inner, rest, value),
            Value::Array(items) => {
                let item = rest[0].parse::<usize>().ok().and_then(|index| items.get_mut(index));
                if let Some(Value::Table(inner)) = item {
                    put(inner, &rest[1..], value);
                }
            }
            other => *other = Table::from_iter([(rest.join("__"), value)]).into(),
        },
    }
}

fn parse(text: &str) -> Value {
    match format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v")) {
        Some(value @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Array(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}
