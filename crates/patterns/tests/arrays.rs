//! Arrays of objects: fields of one object are found in one object.

use opentrail_patterns::{Event, EventPattern, PatternSet, Scratch};

fn matches(pattern: &str, event: &str) -> bool {
    let pattern = EventPattern::parse(pattern).expect("a pattern");
    let alone = pattern.matches(&Event::Whole(event.as_bytes()));
    let set: PatternSet<u8> = [(1, pattern)].into_iter().collect();
    assert_eq!(set.matches(&Event::Whole(event.as_bytes()), &mut Scratch::default()).count(), usize::from(alone));
    alone
}

const PEOPLE: &str = r#"{"employees":[
    {"firstName":"John","lastName":"Doe"},{"firstName":"Anna","lastName":"Smith"},{"firstName":"Peter","lastName":"Jones"}
]}"#;

#[test]
fn fields_of_one_object_are_found_together() {
    assert!(matches(r#"{"employees":{"firstName":["Anna"]}}"#, PEOPLE));
    assert!(matches(r#"{"employees":{"firstName":["Anna"],"lastName":["Smith"]}}"#, PEOPLE));
    assert!(!matches(r#"{"employees":{"firstName":["Anna"],"lastName":["Jones"]}}"#, PEOPLE));
    assert!(matches(r#"{"employees":{"firstName":["Anna","Peter"],"lastName":["Jones"]}}"#, PEOPLE));
    assert!(matches(r#"{"employees":{"firstName":["Anna"],"lastName":[{"anything-but":"Jones"}]}}"#, PEOPLE));
    assert!(!matches(r#"{"employees":{"firstName":["Anna"],"lastName":[{"anything-but":"Smith"}]}}"#, PEOPLE));
}

#[test]
fn arrays_in_arrays() {
    let event = r#"{"a":[[{"x":1,"y":1},{"x":2,"y":2}],[{"x":3,"y":3}]]}"#;
    assert!(matches(r#"{"a":{"x":[2],"y":[2]}}"#, event));
    assert!(!matches(r#"{"a":{"x":[1],"y":[2]}}"#, event));
    assert!(!matches(r#"{"a":{"x":[1],"y":[3]}}"#, event));
    let event = r#"{"a":[{"k":1,"b":[{"x":1,"y":1},{"x":2,"y":2}]},{"k":2,"b":[{"x":3,"y":3}]}]}"#;
    assert!(matches(r#"{"a":{"k":[1],"b":{"x":[2],"y":[2]}}}"#, event));
    assert!(!matches(r#"{"a":{"k":[2],"b":{"x":[2],"y":[2]}}}"#, event));
    assert!(!matches(r#"{"a":{"k":[1],"b":{"x":[1],"y":[2]}}}"#, event));
}

#[test]
fn different_arrays_do_not_matter_to_one_another() {
    let event = r#"{"a":[{"x":1},{"x":2}],"b":[{"x":1},{"x":2}],"c":{"x":3}}"#;
    assert!(matches(r#"{"a":{"x":[1]},"b":{"x":[2]},"c":{"x":[3]}}"#, event));
}

#[test]
fn plain_elements_go_with_all() {
    let event = r#"{"a":["p",{"x":1},"q",{"x":2,"y":2}]}"#;
    assert!(matches(r#"{"a":["p"],"a":["q"]}"#, event));
    assert!(matches(r#"{"a.x":[1],"a":["q"]}"#, event));
    assert!(!matches(r#"{"a.x":[1],"a.y":[2]}"#, event));
}

#[test]
fn a_field_is_missing_from_the_object_that_was_found() {
    let event = r#"{"e":[{"name":"a","z":1},{"name":"b"}]}"#;
    assert!(matches(r#"{"e":{"name":["b"],"z":[{"exists":false}]}}"#, event));
    assert!(!matches(r#"{"e":{"name":["a"],"z":[{"exists":false}]}}"#, event));
    // Conditions are met in the order of their paths: before any object was found the field is missing from none.
    assert!(!matches(r#"{"e":{"name":["b"],"a":[{"exists":false}]}}"#, r#"{"e":[{"name":"a","a":1},{"name":"b"}]}"#));
    assert!(!matches(r#"{"e":{"z":[{"exists":false}]}}"#, event));
}

/// An event of about 250 KB, as large as they may be.
fn large(object: impl Fn(usize) -> String) -> String {
    let mut event = r#"{"a":["#.to_owned();
    for number in 0.. {
        event.push_str(&object(number));
        if event.len() > 250_000 {
            break;
        }
        event.push(',');
    }
    event + "]}"
}

#[test]
fn many_objects_are_searched_through() {
    let event = large(|number| format!(r#"{{"k":1,"l":1,"m":{number}}}"#));
    assert!(matches(r#"{"a":{"k":[1],"l":[1],"m":[9000]}}"#, &event));
    assert!(!matches(r#"{"a":{"k":[1],"l":[1],"m":[{"numeric":["<",0]}]}}"#, &event));
    let event = large(|number| if number % 2 == 0 { r#"{"k":1}"#.to_owned() } else { r#"{"l":1}"#.to_owned() });
    assert!(!matches(r#"{"a":{"k":[1],"l":[1]}}"#, &event), "no object has both");
}

#[test]
fn independent_arrays_do_not_multiply() {
    let array = vec![r#"{"x":1,"y":1}"#; 3_000].join(",");
    let last = vec![r#"{"x":1},{"y":1}"#; 1_500].join(",");
    let event = format!(r#"{{"a":[{array}],"b":[{array}],"c":[{array}],"d":[{last}]}}"#);
    let both = r#"{"x":[1],"y":[1]}"#;
    assert!(!matches(&format!(r#"{{"a":{both},"b":{both},"c":{both},"d":{both}}}"#), &event));
    assert!(matches(&format!(r#"{{"a":{both},"b":{both},"c":{both},"d":{{"x":[1]}}}}"#), &event));
}

#[test]
fn a_search_that_is_too_long_ends_with_a_match() {
    let many = vec![r#"{"k":1}"#; 20_000].join(",");
    let event = format!(r#"{{"a":[{many},{{"l":1}}]}}"#);
    assert!(!matches(r#"{"a":{"k":[1],"l":[1]}}"#, &event), "within the bound");
    let names = ["k", "l", "m", "n", "o", "p", "q"].map(|name| format!(r#""{name}":1"#)).join(",");
    let most = vec![format!("{{{names}}}"); 20_000].join(",");
    let event = format!(r#"{{"a":[{most},{{"z":1}}]}}"#);
    let pattern = r#"{"a":{"k":[1],"l":[1],"m":[1],"n":[1],"o":[1],"p":[1],"q":[1],"z":[1]}}"#;
    assert!(
        matches(pattern, &event),
        "beyond the bound conditions that hold each by itself are taken to hold together"
    );
}
