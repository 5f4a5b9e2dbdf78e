//! The library of sample queries, and SearchSampleQueries' search through it.
//!
//! The samples are OpenTrail's own (`samples.toml`); AWS's catalogue is not published. `$EDS_ID` in a statement stands for
//! the id of the event data store that it is to be run over.

mod search;
mod stem;

use std::sync::LazyLock;

use serde::Deserialize;

pub use search::search;

/// A sample query.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// `Name`, unlike every other's.
    pub name: String,
    /// `Description`: what it finds.
    pub description: String,
    /// `SQL`, with `$EDS_ID` for the store.
    pub sql: String,
}

#[derive(Deserialize)]
struct Library {
    sample: Vec<Sample>,
}

/// All samples.
pub static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let library: Library = toml::from_str(include_str!("samples.toml")).expect("the library is well-formed TOML");
    library.sample.into_iter().map(|sample| Sample { sql: sample.sql.trim().to_owned(), ..sample }).collect()
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_library_is_large_enough_and_every_sample_is_whole() {
        assert!(SAMPLES.len() >= 40, "{}", SAMPLES.len());
        let names: BTreeSet<_> = SAMPLES.iter().map(|sample| sample.name.as_str()).collect();
        assert_eq!(names.len(), SAMPLES.len());
        for Sample { name, description, sql } in SAMPLES.iter() {
            assert!(sql.contains("FROM $EDS_ID") || sql.contains("FROM\n  $EDS_ID"), "{name}");
            assert!(sql.len() < 9000 && description.ends_with('.') && !name.ends_with('.'), "{name}");
        }
    }
}
