use std::time::Duration;

use opentrail_model::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The folder of an account's log files.
pub(crate) const LOGS: &str = "CloudTrail";

/// The times of the events that are wanted.
///
/// Days in folders (`…/CloudTrail/<Region>/YYYY/MM/DD/`) and in file names (`…_YYYYMMDDTHHMMZ_…`) are looked at before a
/// file is opened. They are of the delivery, which comes after the events: the day after the window's last is looked at as
/// well, a choice. Each event is then judged by its own time, a choice, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// The first day as `YYYYMMDD`, which compares as days do.
    first: Option<String>,
    last: Option<String>,
}

impl Window {
    /// From `from` to `to`, both inclusive; `None` for no bound.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Self {
        let day = |time: Timestamp| time.format("%Y%m%d");
        Self { from, to, first: from.map(day), last: to.map(|to| day(to + DAY)) }
    }

    /// Whether an event of this time is wanted.
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time <= to)
    }

    /// Whether a file of this key may have such events, by its name.
    pub fn may_hold_file(&self, key: &str) -> bool {
        let name = key.rsplit('/').next().unwrap_or(key);
        let date = name.split('_').find_map(|part| {
            let (date, time) = part.split_once('T')?;
            let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
            (digits(date, 8) && digits(time.strip_suffix('Z')?, 4)).then_some(date)
        });
        date.is_none_or(|date| self.may_hold(date))
    }

    /// Whether files in this folder, whose name ends with `/`, may have such events.
    pub(crate) fn may_hold_folder(&self, folder: &str) -> bool {
        let below = folder.strip_suffix('/').unwrap_or(folder).rsplit_once(&format!("{LOGS}/")).map(|(_, below)| below);
        let mut date = String::new();
        for (part, length) in below.unwrap_or_default().split('/').skip(1).zip([4, 2, 2]) {
            if part.len() != length || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                break;
            }
            date.push_str(part);
        }
        self.may_hold(&date)
    }

    /// Whether a year, a month or a day, as the beginning of `YYYYMMDD`, is in the window.
    fn may_hold(&self, date: &str) -> bool {
        let from = |day: &String| day.get(..date.len()).unwrap_or(day) <= date;
        let to = |day: &String| day.get(..date.len()).unwrap_or(day) >= date;
        self.first.as_ref().is_none_or(from) && self.last.as_ref().is_none_or(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_names_outside_the_window_are_passed_over() {
        let window = Window::new("2024-02-28T12:00:00Z".parse().ok(), "2024-03-01T06:00:00Z".parse().ok());
        let folder =
            |date: &str| window.may_hold_folder(&format!("p/AWSLogs/111122223333/CloudTrail/us-east-1/{date}"));
        for inside in ["", "2024/", "2024/02/", "2024/03/", "2024/02/28/", "2024/02/29/", "2024/03/01/", "2024/03/02/"]
        {
            assert!(folder(inside), "{inside}");
        }
        for outside in ["2023/", "2025/", "2024/01/", "2024/04/", "2024/02/27/", "2024/03/03/"] {
            assert!(!folder(outside), "{outside}");
        }
        assert!(folder("backup/2020/"));
        assert!(window.may_hold_folder("elsewhere/2020/01/01/"));
        let file = |name: &str| window.may_hold_file(&format!("a/b/{name}"));
        assert!(file("111122223333_CloudTrail_us-east-1_20240229T2355Z_abcdefgh.json.gz"));
        assert!(file("111122223333_CloudTrail_us-east-1_20240302T0005Z_abcdefgh.json.gz"));
        assert!(!file("111122223333_CloudTrail_us-east-1_20240227T2355Z_abcdefgh.json.gz"));
        assert!(!file("111122223333_CloudTrail_us-east-1_20240303T0000Z_abcdefgh.json.gz"));
        assert!(file("events.json.gz"));
    }

    #[test]
    fn events_are_judged_by_their_own_time_bounds_included() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = Window::new(Some(time("2024-01-01T00:00:00Z")), Some(time("2024-01-02T00:00:00Z")));
        assert!(window.holds(time("2024-01-01T00:00:00Z")) && window.holds(time("2024-01-02T00:00:00Z")));
        assert!(!window.holds(time("2023-12-31T23:59:59Z")) && !window.holds(time("2024-01-02T00:00:01Z")));
        assert!(Window::default().holds(Timestamp::EPOCH) && Window::default().may_hold_folder("x/"));
    }
}
