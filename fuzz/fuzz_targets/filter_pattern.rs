//! Any text as a filter pattern, asked of any text as a message: never panics, and a set of the pattern says what the pattern
//! says. The pattern ends at the first zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opentrail_filters::{FilterPattern, FilterSet, Scratch};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, message) = text.split_once('\0').unwrap_or((text, r#"{"eventName":"DeleteTrail"}"#));
    let Ok(pattern) = FilterPattern::parse(pattern) else { return };
    let matches = pattern.matches(message);
    assert_eq!(pattern.extract(message).is_some(), matches);
    let again = FilterPattern::parse(pattern.as_str()).expect("what was read once is read again");
    assert_eq!(again.matches(message), matches);
    let set = FilterSet::new([again, pattern]);
    let numbers: &[usize] = if matches { &[0, 1] } else { &[] };
    assert_eq!(set.matching(message, &mut Scratch::default()), numbers);
});
