use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::{Table, Value};

/// Something wrong in the configuration, by key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub(crate) struct Problem {
    /// E.g. `gateway[0].listen`.
    pub(crate) key: String,
    /// What is wrong and what is expected.
    pub(crate) problem: String,
}

/// Takes typed values out of one table and remembers everything that is wrong, so that all of it is told at once.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    table: Table,
    path: String,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// A reader of the whole configuration.
    pub(crate) fn new(table: Table, problems: &'a mut Vec<Problem>) -> Self {
        Self { table, path: String::new(), problems }
    }

    /// The whole key of `name`.
    pub(crate) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(crate) fn complain(&mut self, name: &str, problem: impl Into<String>) {
        let key = self.key(name);
        self.problems.push(Problem { key, problem: problem.into() });
    }

    /// Remembers a problem that another crate found, under the whole `key`.
    pub(crate) fn complain_of(&mut self, key: String, problem: String) {
        self.problems.push(Problem { key, problem });
    }

    /// Whether anything of that name is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// The section `name`; empty when absent.
    pub(crate) fn section(&mut self, name: &str) -> Reader<'_> {
        let path = self.key(name);
        let table = match self.table.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.complain(name, format!("must be a section: [{path}]"));
                Table::new()
            }
        };
        Reader { table, path, problems: self.problems }
    }

    /// Each section `[[name]]`, read by `read`.
    pub(crate) fn sections<T>(&mut self, name: &str, mut read: impl FnMut(&mut Reader<'_>) -> Option<T>) -> Vec<T> {
        let path = self.key(name);
        let items = match self.table.remove(name) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            // `OPENTRAIL_GATEWAY__0__LISTEN` arrives as a table with numbers for keys.
            Some(Value::Table(table)) if table.keys().all(|key| key.parse::<usize>().is_ok()) => {
                table.into_iter().map(|(_, value)| value).collect()
            }
            Some(_) => {
                self.complain(name, format!("must be a list of sections: [[{path}]]"));
                return Vec::new();
            }
        };
        let mut out = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Value::Table(table) = item else {
                self.problems.push(Problem { key: path, problem: "must be a section".into() });
                continue;
            };
            let mut reader = Reader { table, path, problems: self.problems };
            out.extend(read(&mut reader));
            reader.finish();
        }
        out
    }

    /// The raw value, for sections that another crate reads.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Value> {
        self.table.remove(name)
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.table.remove(name)? {
            Value::String(text) => Some(text),
            Value::Integer(n) => Some(n.to_string()),
            _ => {
                self.complain(name, "must be a text in quotes");
                None
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Option<String> {
        if !self.table.contains_key(name) {
            self.complain(name, "is required");
        }
        self.text(name)
    }

    /// Whatever a text can spell, e.g. an address; `expected` describes it.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.complain(name, format!("{text:?} is not {expected}"));
        }
        parsed
    }

    /// A [`Self::parsed`] value that must be there.
    pub(crate) fn required<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        if !self.table.contains_key(name) {
            self.complain(name, format!("is required: {expected}"));
        }
        self.parsed(name, expected)
    }

    /// A whole number of at least `least`.
    pub(crate) fn number(&mut self, name: &str, default: u64, least: u64) -> u64 {
        match self.table.remove(name) {
            None => default,
            Some(Value::Integer(n)) if u64::try_from(n).is_ok_and(|n| n >= least) => n.unsigned_abs(),
            Some(other) => {
                self.complain(name, format!("{other} is not a whole number of at least {least}"));
                default
            }
        }
    }

    /// A time such as `60s` or `1h`, of at least `least`.
    pub(crate) fn duration(&mut self, name: &str, default: Duration, least: Duration) -> Duration {
        let Some(text) = self.text(name) else { return default };
        match humantime::parse_duration(&text) {
            Ok(duration) if duration >= least => duration,
            Ok(_) => {
                self.complain(name, format!("{text:?} is shorter than {}", humantime::format_duration(least)));
                default
            }
            Err(_) => {
                self.complain(name, format!("{text:?} is not a time such as \"60s\", \"5m\" or \"1h\""));
                default
            }
        }
    }

    /// A size such as `5MB` (1,000,000 bytes each) or `5MiB`, of `least` to `most` bytes.
    pub(crate) fn size(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some(text) = self.text(name) else { return default };
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if (least..=most).contains(&size.as_u64()) => size.as_u64(),
            Ok(_) => {
                let (least, most) = (bytesize::ByteSize(least), bytesize::ByteSize(most));
                self.complain(name, format!("{text:?} is not between {least} and {most}"));
                default
            }
            Err(_) => {
                self.complain(name, format!("{text:?} is not a size such as \"5MB\""));
                default
            }
        }
    }

    /// An address to listen on.
    pub(crate) fn required_address(&mut self, name: &str) -> Option<SocketAddr> {
        self.required(name, "an address such as 127.0.0.1:4591")
    }

    /// A file's path.
    pub(crate) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.table.remove(name) else { return Vec::new() };
        let texts = match value {
            Value::Array(items) => items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Value::String(text) => Some(text.split(',').map(|part| part.trim().to_owned()).collect()),
            _ => None,
        };
        texts.unwrap_or_else(|| {
            self.complain(name, "must be a list of texts");
            Vec::new()
        })
    }

    /// Complains of every key that was not asked for.
    pub(crate) fn finish(self) {
        for name in self.table.keys() {
            let key = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            self.problems.push(Problem { key, problem: "is not a known key".into() });
        }
    }
}
