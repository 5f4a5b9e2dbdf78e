//! What the commands share in talking to people.

use std::fmt::Display;

use comfy_table::{ContentArrangement, Table, presets};

/// `text` in red; `anstream` removes the colour where there is no terminal.
pub(crate) fn red(text: impl Display) -> String {
    format!("\x1b[1;31m{text}\x1b[0m")
}

/// `text` in green.
pub(crate) fn green(text: impl Display) -> String {
    format!("\x1b[32m{text}\x1b[0m")
}

/// `text` in yellow.
pub(crate) fn yellow(text: impl Display) -> String {
    format!("\x1b[33m{text}\x1b[0m")
}

/// `text` in bold.
pub(crate) fn bold(text: impl Display) -> String {
    format!("\x1b[1m{text}\x1b[0m")
}

/// A table without lines, as wide as the terminal.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(comfy_table::Cell::new));
    table
}
