//! The time of a signed request, `yyyymmddThhmmssZ`.

use opentrail_model::Timestamp;

/// `20130524T000000Z`.
pub(super) fn format(time: Timestamp) -> String {
    time.format("%Y%m%dT%H%M%SZ")
}

/// Reads exactly that form.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let shape_is_right = text.len() == 16
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 => b == b'T',
            15 => b == b'Z',
            _ => b.is_ascii_digit(),
        });
    if !shape_is_right {
        return None;
    }
    let (date, time) = (&text[..8], &text[9..15]);
    iso(&date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4], &time[4..])
}

/// Reads the form of HTTP's `Date` header, `Fri, 24 May 2013 00:00:00 GMT`.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let (day, month, year, clock, zone) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|m| *m == month)? + 1;
    let mut clock = clock.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    if zone != "GMT" || words.next().is_some() || clock.next().is_some() {
        return None;
    }
    iso(year, &format!("{month:02}"), day, hour, minute, second)
}

fn iso(year: &str, month: &str, day: &str, hour: &str, minute: &str, second: &str) -> Option<Timestamp> {
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_moment() {
        let moment = "2013-05-24T00:00:00Z".parse().unwrap();
        assert_eq!(parse("20130524T000000Z"), Some(moment));
        assert_eq!(parse_http_date("Fri, 24 May 2013 00:00:00 GMT"), Some(moment));
        assert_eq!(format(moment), "20130524T000000Z");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["", "20130524T000000", "20130524 000000Z", "20131324T000000Z", "2013-05-24T00:00:00Z", "20130524T00000éZ"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["", "24 May 2013", "Fri, 24 May 2013 00:00:00 CET", "Fri, 24 Mai 2013 00:00:00 GMT"] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }
}
