use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::key::{LONGEST_KEY, path_of};

/// What S3 says a listing is, told the slow way.
fn expected(keys: &BTreeSet<String>, query: &Query<'_>) -> (Vec<String>, Vec<String>) {
    let (mut plain, mut common) = (Vec::new(), Vec::new());
    for key in keys.iter().filter(|key| key.starts_with(query.prefix)) {
        let rest = &key[query.prefix.len()..];
        match query.delimiter.and_then(|delimiter| Some((delimiter, rest.find(delimiter)?))) {
            Some((delimiter, at)) => common.push(key[..query.prefix.len() + at + delimiter.len()].to_owned()),
            None => plain.push(key.clone()),
        }
    }
    common.dedup();
    (plain, common)
}

/// Every page, `limit` items at a time.
fn all_pages(listings: &Listings, root: &Path, query: &Query<'_>) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut common) = (Vec::new(), Vec::new());
    let mut after = String::new();
    loop {
        let page = listings.page(root, &Query { after: &after, ..*query }).unwrap();
        assert!(page.keys.len() + page.common_prefixes.len() <= query.limit);
        keys.extend(page.keys);
        common.extend(page.common_prefixes);
        match page.next {
            Some(next) => {
                assert!(next > after);
                after = next;
            }
            None => return (keys, common),
        }
    }
}

fn write(root: &Path, key: &str) {
    let path = root.join(path_of(key));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
}

/// Keys made of what is difficult: dots, slashes, marks, escapes, control characters, long segments.
fn keys() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        5 => proptest::sample::select(vec!["a", "b", "/", ".", "-", "0", "%", "%o", "%p", "%+", "%25", "\n", "é", "..", "A", "\u{10ffff}"])
            .prop_map(str::to_owned),
        1 => (235usize..260).prop_map(|length| "x".repeat(length)),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 1..12)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("a key has at most 1024 bytes", |key| key.len() <= LONGEST_KEY)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_keys_are_listed_once_in_the_order_of_their_bytes(
        keys in proptest::collection::btree_set(keys(), 1..40),
        prefix in keys(),
        limit in 1usize..9,
    ) {
        let directory = tempfile::tempdir().unwrap();
        keys.iter().for_each(|key| write(directory.path(), key));
        let listings = Listings::default();
        let some_prefix: String = keys.iter().next_back().unwrap().chars().take(2).collect();
        for prefix in ["", &some_prefix, &prefix] {
            for delimiter in [None, Some("/"), Some("a"), Some("./")] {
                let query = Query { prefix, delimiter, after: "", limit };
                prop_assert_eq!(all_pages(&listings, directory.path(), &query), expected(&keys, &query));
            }
        }
    }

    #[test]
    fn a_listing_can_begin_anywhere(keys in proptest::collection::btree_set(keys(), 1..30), after in keys()) {
        let directory = tempfile::tempdir().unwrap();
        keys.iter().for_each(|key| write(directory.path(), key));
        let page = Listings::default().page(directory.path(), &Query { after: &after, limit: 100, ..Query::default() });
        let behind: Vec<String> = keys.iter().filter(|key| **key > after).cloned().collect();
        prop_assert_eq!(page.unwrap().keys, behind);
    }

    #[test]
    fn different_keys_have_different_paths_that_stay_inside(a in keys(), b in keys()) {
        prop_assert_eq!(path_of(&a) == path_of(&b), a == b);
        let path = path_of(&a);
        prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(name) if name.len() <= 255)));
    }
}

#[test]
fn the_longest_keys_fit_a_path() {
    let directory = tempfile::tempdir().unwrap();
    for key in ["/".repeat(1024), "%".repeat(1024), "./".repeat(512), "\u{1}".repeat(1024), "é".repeat(512)] {
        write(directory.path(), &key);
        let page = Listings::default().page(directory.path(), &Query { limit: 10, ..Query::default() }).unwrap();
        assert_eq!(page.keys, [key]);
        fs::remove_dir_all(directory.path()).unwrap();
        fs::create_dir(directory.path()).unwrap();
    }
}

#[test]
fn files_that_no_key_has_are_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["README", "%zz.txt", "x%+", "50%2e.txt"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    fs::create_dir(directory.path().join("short%+")).unwrap();
    fs::write(directory.path().join("short%+/rest%o"), "").unwrap();
    write(directory.path(), "mine");
    let page = Listings::default().page(directory.path(), &Query { limit: 10, ..Query::default() }).unwrap();
    assert_eq!(page.keys, ["mine"]);
}

#[test]
fn large_directories_are_remembered_until_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    (0..600).for_each(|number| write(root, &format!("{number:04}.gz")));
    let listings = Listings::default();
    let query = Query { limit: 1000, ..Query::default() };
    assert_eq!(listings.page(root, &query).unwrap().keys.len(), 600);
    assert_eq!(listings.remembered.lock().len(), 1);
    write(root, "0600.gz");
    listings.changed(root, root);
    assert_eq!(listings.page(root, &query).unwrap().keys.len(), 601);
}
