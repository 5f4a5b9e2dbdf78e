use super::*;

/// Tuesday, 3 February 2026.
const NOW: &str = "2026-02-03T04:05:06.789Z";

fn span(text: &str) -> Result<Option<(String, String)>, String> {
    let mut words = Words::of(text);
    let span = take(&mut words, NOW.parse().unwrap())?;
    let open: Vec<&str> = words.unused();
    assert!(span.is_none() || open == ["x"], "{text}: {open:?}");
    let told = |time: Option<NaiveDateTime>| time.map_or(String::new(), |time| time.format("%F %T").to_string());
    Ok(span.map(|span| (told(span.from), told(span.to))))
}

#[test]
fn times_are_what_they_say() {
    for (text, from, to) in [
        ("x today", "2026-02-03 00:00:00", ""),
        ("x yesterday", "2026-02-02 00:00:00", "2026-02-03 00:00:00"),
        ("x the day before yesterday", "2026-02-01 00:00:00", "2026-02-02 00:00:00"),
        ("x in the last 24 hours", "2026-02-02 04:05:06", ""),
        ("x in the past hour", "2026-02-03 03:05:06", ""),
        ("x over the last half an hour", "2026-02-03 03:35:06", ""),
        ("x last week", "2026-01-26 00:00:00", "2026-02-02 00:00:00"),
        ("x in the last week", "2026-01-27 04:05:06", ""),
        ("x in the last three months", "2025-11-03 04:05:06", ""),
        ("x last year", "2025-01-01 00:00:00", "2026-01-01 00:00:00"),
        ("x this week", "2026-02-02 00:00:00", ""),
        ("x this quarter", "2026-01-01 00:00:00", ""),
        ("x in December", "2025-12-01 00:00:00", "2026-01-01 00:00:00"),
        ("x in February", "2026-02-01 00:00:00", ""),
        ("x in 2024", "2024-01-01 00:00:00", "2025-01-01 00:00:00"),
        ("x in Q3 2025", "2025-07-01 00:00:00", "2025-10-01 00:00:00"),
        ("x on Friday", "2026-01-30 00:00:00", "2026-01-31 00:00:00"),
        ("x last Friday", "2026-01-30 00:00:00", "2026-01-31 00:00:00"),
        ("x since Monday", "2026-02-02 00:00:00", ""),
        ("x on February 3rd", "2026-02-03 00:00:00", ""),
        ("x on 24 December", "2025-12-24 00:00:00", "2025-12-25 00:00:00"),
        ("x on March 3, 2024", "2024-03-03 00:00:00", "2024-03-04 00:00:00"),
        ("x since the 5th of May 2025", "2025-05-05 00:00:00", ""),
        ("x 3 days ago", "2026-01-31 00:00:00", "2026-02-01 00:00:00"),
        ("x before 2026-01-10", "", "2026-01-10 00:00:00"),
        ("x after January 5", "2026-01-06 00:00:00", ""),
        ("x until yesterday", "", "2026-02-02 00:00:00"),
        ("x from January 5 to January 9", "2026-01-05 00:00:00", "2026-01-10 00:00:00"),
        ("x between 2026-01-31 22:15 and 2026-02-01 01:00", "2026-01-31 22:15:00", "2026-02-01 01:00:00"),
        ("x between 8am and 10:30 yesterday", "2026-02-02 08:00:00", "2026-02-02 10:30:00"),
        ("x since 2026-02-01T12:00:00Z", "2026-02-01 12:00:00", ""),
        ("x after 11 pm on 2026-02-01", "2026-02-01 23:00:00", ""),
        ("x since yesterday at noon", "2026-02-02 12:00:00", ""),
    ] {
        assert_eq!(span(text), Ok(Some((from.to_owned(), to.to_owned()))), "{text}");
    }
}

#[test]
fn what_has_two_readings_or_none_is_no_time() {
    for text in [
        "x on 03/04/2026",
        "x on Tuesday",
        "x last Monday",
        "x in the last few days",
        "x recently",
        "x last 20 events",
        "x on February 30 2026",
        "x tomorrow",
        "x may change",
        "x at 10:00",
        "x 2 hours ago",
        "x last night",
        "x in 1999",
    ] {
        assert_eq!(span(text), Ok(None), "{text}");
    }
    assert!(span("x yesterday and today").is_err());
    assert!(span("x since 2027-01-01").is_err());
    assert!(span("x between 2026-01-10 and 2026-01-01").is_err());
}
