//! Rows as a table, as JSON, as CSV.

use std::collections::BTreeMap;
use std::io::{BufWriter, Stdout, Write, stdout};

use comfy_table::{Cell, CellAlignment, Table};
use serde_json::{Map, Value};

use super::RowFormat;
use crate::cli::output;

/// A row of GetQueryResults: an object per column, as two may have one name.
type Row = Vec<BTreeMap<String, String>>;

/// Prints rows as they come; a table at its end, as its widths are known only then.
pub(super) struct Printer {
    form: Form,
    rows: usize,
}

enum Form {
    Table { max_rows: usize, headings: Vec<String>, cells: Vec<Vec<String>>, is_cut: bool },
    Json(BufWriter<Stdout>),
    Csv(Box<csv::Writer<Stdout>>),
}

impl Printer {
    /// `max_rows` bound a table.
    pub(super) fn new(format: RowFormat, max_rows: usize) -> Self {
        let form = match format {
            RowFormat::Table => Form::Table { max_rows, headings: Vec::new(), cells: Vec::new(), is_cut: false },
            RowFormat::Json => Form::Json(BufWriter::new(stdout())),
            RowFormat::Csv => Form::Csv(Box::new(csv::Writer::from_writer(stdout()))),
        };
        Self { form, rows: 0 }
    }

    /// Whether rows that are still to come would be printed.
    pub(super) fn wants_more(&self) -> bool {
        !matches!(self.form, Form::Table { is_cut: true, .. })
    }

    /// How many rows were printed.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn push(&mut self, rows: Vec<Row>) -> anyhow::Result<()> {
        for row in rows {
            let (names, values): (Vec<String>, Vec<String>) = row.into_iter().flatten().unzip();
            let is_first = self.rows == 0;
            match &mut self.form {
                Form::Table { max_rows, is_cut, .. } if self.rows == *max_rows => {
                    *is_cut = true;
                    return Ok(());
                }
                Form::Table { headings, cells, .. } => {
                    *headings = names;
                    cells.push(values);
                }
                Form::Json(out) => {
                    let row: Map<String, Value> =
                        distinct(names).into_iter().zip(values.into_iter().map(Value::from)).collect();
                    out.write_all(if is_first { b"[\n  " } else { b",\n  " })?;
                    serde_json::to_writer(&mut *out, &row)?;
                }
                Form::Csv(out) => {
                    if is_first {
                        out.write_record(&names)?;
                    }
                    out.write_record(&values)?;
                }
            }
            self.rows += 1;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Table { headings, cells, is_cut, .. } => {
                if !cells.is_empty() {
                    println!("{}", table(headings, cells));
                }
                if *is_cut {
                    eprintln!("There are more rows: --max-rows shows more, --output csv or json shows all.");
                }
            }
            Form::Json(out) => {
                out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
                out.flush()?;
            }
            Form::Csv(out) => out.flush()?,
        }
        Ok(())
    }
}

/// Columns of numbers stand to the right.
fn table(headings: &[String], cells: &[Vec<String>]) -> Table {
    let mut table = output::table(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for row in cells {
        table.add_row(row.iter().map(Cell::new));
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        let is_number = |row: &Vec<String>| row[number].is_empty() || row[number].parse::<f64>().is_ok();
        if cells.iter().all(is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Names of which none comes twice: `count`, `count_2`.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let number = |name: String| {
        let count = taken.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}_{count}") }
    };
    names.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_again_gets_a_number() {
        let names = ["a", "b", "a", "a"].map(str::to_owned).to_vec();
        assert_eq!(distinct(names), ["a", "b", "a_2", "a_3"]);
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let text = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = table(&text(["name", "calls"]), &[text(["GetObject", "7"]), text(["Put", "1200"])]);
        let lines: Vec<String> = table.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines, [" name       calls ", " GetObject      7 ", " Put         1200 "]);
    }
}
