//! What the alarms were worth.

use std::collections::BTreeMap;

use crate::detectors::Alarm;
use crate::workload::{Account, Anomaly, DAY, Injected, Kind, WEEK};

/// An alarm counts for an anomaly until so many minutes after its end.
const LATE: u32 = 10;
/// Alarms on a key within so many minutes after an anomaly's end count neither for nor against.
const AFTERMATH: u32 = 60;

/// Minutes from the start of each anomaly of a class until it was known; `None` when it never was.
type Delays = Vec<Option<f64>>;

pub(crate) struct Report {
    name: &'static str,
    classes: BTreeMap<(Injected, &'static str), Delays>,
    /// False alarms by the kind of the key.
    false_by_kind: BTreeMap<Kind, u32>,
    /// False alarms by the day in which they came, training included.
    false_by_day: BTreeMap<u32, u32>,
    false_alarms: u32,
    true_alarms: u32,
    account_weeks: f64,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            classes: BTreeMap::new(),
            false_by_kind: BTreeMap::new(),
            false_by_day: BTreeMap::new(),
            false_alarms: 0,
            true_alarms: 0,
            account_weeks: 0.0,
        }
    }

    pub(crate) fn add(&mut self, account: &Account, alarms: &[Alarm], train: u32, minutes: u32) {
        self.account_weeks += f64::from(minutes - train) / f64::from(WEEK);
        for anomaly in &account.anomalies {
            let known = alarms.iter().find(|alarm| is_of(alarm, anomaly, LATE)).map(|alarm| alarm.known);
            let delay = known.map(|known| f64::from(known) - anomaly.start);
            let class = match (anomaly.minutes, anomaly.rate) {
                (..5, _) => "under 5 min",
                (_, Some(rate)) if rate < 5.0 => "5+ min, < 5 calls/min",
                (_, Some(_)) => "5+ min, 5+ calls/min",
                _ => "5+ min, jobs or none",
            };
            self.classes.entry((anomaly.kind, class)).or_default().push(delay);
        }
        for alarm in alarms {
            if account.anomalies.iter().any(|anomaly| is_of(alarm, anomaly, LATE)) {
                self.true_alarms += 1;
            } else if !account.anomalies.iter().any(|anomaly| is_of(alarm, anomaly, AFTERMATH)) {
                *self.false_by_day.entry(alarm.known / DAY).or_default() += 1;
                if alarm.known > train {
                    self.false_alarms += 1;
                    *self.false_by_kind.entry(account.kinds[alarm.key]).or_default() += 1;
                }
            }
        }
    }

    pub(crate) fn print_kinds(&self) {
        println!(
            "\n{:<18} {:<22} {:>5} {:>8} {:>13} {:>10}",
            "injected", "for", "n", "recall", "median delay", "p90 delay"
        );
        for ((kind, class), delays) in &self.classes {
            let found = sorted(delays);
            println!(
                "{:<18} {:<22} {:>5} {:>8.3} {:>9.1} min {:>6.1} min",
                format!("{kind:?}"),
                class,
                delays.len(),
                found.len() as f64 / delays.len() as f64,
                quantile(&found, 0.5),
                quantile(&found, 0.9),
            );
        }
    }

    pub(crate) fn print_beside(reports: &[Self]) {
        println!(
            "\n{:<18} {:>7} {:>10} {:>22} {:>13} {:>24}",
            "detector", "recall", "precision", "10x, 5 min or more", "median delay", "false per account-week"
        );
        for report in reports {
            let all: Delays = report.classes.values().flatten().copied().collect();
            let is_ten = |(kind, class): &(Injected, &str)| *kind == Injected::Burst(10) && class.starts_with('5');
            let ten: Delays = report.classes.iter().filter(|(of, _)| is_ten(of)).flat_map(|(_, d)| d.clone()).collect();
            let share = |delays: &Delays| sorted(delays).len() as f64 / delays.len().max(1) as f64;
            println!(
                "{:<18} {:>7.3} {:>10.3} {:>22.3} {:>9.1} min {:>24.2}",
                report.name,
                share(&all),
                f64::from(report.true_alarms) / f64::from(report.true_alarms + report.false_alarms).max(1.0),
                share(&ten),
                quantile(&sorted(&all), 0.5),
                f64::from(report.false_alarms) / report.account_weeks,
            );
        }
    }
}

/// Prints where our false alarms were.
pub(crate) fn false_alarms(report: &Report, accounts: u64) {
    println!("\nfalse alarms by kind of key: {:?}", report.false_by_kind);
    let day = |days: std::ops::Range<u32>| -> f64 {
        let n: u32 = report.false_by_day.range(days.clone()).map(|(_, n)| n).sum();
        f64::from(n) / accounts as f64
    };
    println!(
        "false alarms per account: day 1 {:.2}, days 2 to 7 {:.2}, week 2 {:.2}, week 3 {:.2}, week 4 {:.2}",
        day(0..1),
        day(1..7),
        day(7..14),
        day(14..21),
        day(21..28)
    );
}

fn is_of(alarm: &Alarm, anomaly: &Anomaly, after: u32) -> bool {
    alarm.key == anomaly.key && alarm.known > anomaly.first() && alarm.known <= anomaly.end() + after
}

fn sorted(delays: &Delays) -> Vec<f64> {
    let mut found: Vec<f64> = delays.iter().flatten().copied().collect();
    found.sort_by(f64::total_cmp);
    found
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
