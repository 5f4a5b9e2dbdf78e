//! The detectors: ours, and those that it is measured beside.

use opentrail_insights::method::{Closed, Knowledge, Minute, Observed, Parameters, Series, discoveries};

use crate::workload::Account;

/// What a detector told: an alarm on a key, with the end of a minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alarm {
    pub(crate) key: usize,
    /// Minutes since the beginning at which it is known.
    pub(crate) known: u32,
}

/// A Monday's first minute: four days after a Thursday, on which the epoch began.
const MONDAY: u32 = 29_000_160 + 4 * 1440;

/// Ours. `tune` may change the parameters of an age.
pub(crate) fn ours(account: &Account, parameters: &dyn Fn(u32) -> Option<Parameters>, trace: bool) -> Vec<Alarm> {
    let minutes = account.counts[0].len() as u32;
    let mut worst: std::collections::BTreeMap<usize, (f64, String)> = std::collections::BTreeMap::new();
    let mut observed = Observed::default();
    let mut series: Vec<Option<Series>> = vec![None; account.counts.len()];
    let mut alarms = Vec::new();
    for at in 0..minutes {
        let minute = Minute(MONDAY + at);
        observed.close(minute);
        let known = Knowledge { observed: &observed, since: Minute(MONDAY), age: at + 1 };
        let parameters = parameters(at + 1);
        let mut unusual = Vec::new();
        for (key, counts) in account.counts.iter().enumerate() {
            let count = u32::from(counts[at as usize]);
            let series = &mut series[key];
            if count == 0 && series.as_ref().is_none_or(|series| series.episode().is_none()) {
                continue;
            }
            let series = series.get_or_insert_with(|| Series::new(minute));
            let closed = series.close(minute, count, &known, parameters.as_ref());
            let injected = |a: &crate::workload::Anomaly| a.key == key && (a.first()..a.end()).contains(&at);
            if trace && series.episode().is_none() && account.anomalies.iter().any(injected) {
                let stretch = series.stretch();
                let worst = worst.entry(key).or_default();
                if stretch >= worst.0 {
                    *worst = (stretch, format!("{at}: {count} {}", series.explain_last()));
                }
            }
            if let Closed::Unusual(surprise) = closed {
                unusual.push((key, surprise));
            }
        }
        let Some(parameters) = parameters else { continue };
        let keys = series.iter().flatten().count();
        discoveries(&mut unusual, keys, parameters.false_discoveries, |(_, surprise)| surprise.exponent);
        for (key, surprise) in unusual {
            if let Some(series) = &mut series[key] {
                if trace {
                    let real = account.anomalies.iter().any(|a| a.key == key && at >= a.first() && at <= a.end() + 60);
                    eprintln!("alarm {at} {:?} key {key} real {real}: {surprise:?}", account.kinds[key]);
                }
                series.begin(&surprise);
                alarms.push(Alarm { key, known: at + 1 });
            }
        }
    }
    for anomaly in account.anomalies.iter().filter(|_| trace) {
        let found =
            alarms.iter().any(|a| a.key == anomaly.key && a.known > anomaly.first() && a.known <= anomaly.end() + 10);
        if !found {
            eprintln!("missed {:?} {anomaly:?} {:?}", account.kinds[anomaly.key], worst.get(&anomaly.key));
        }
    }
    alarms
}

/// An alarm whenever `is_high` says so of a minute's count, once until a quarter of an hour has been quiet.
fn each_key(account: &Account, train: u32, mut rule: impl FnMut(&[u16]) -> Box<dyn FnMut(f64) -> bool>) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for (key, counts) in account.counts.iter().enumerate() {
        let mut is_high = rule(&counts[..train as usize]);
        let mut last = None;
        for (at, count) in counts.iter().enumerate() {
            if is_high((*count).into()) && at >= train as usize {
                if last.is_none_or(|last| at - last > 15) {
                    alarms.push(Alarm { key, known: at as u32 + 1 });
                }
                last = Some(at);
            }
        }
    }
    alarms
}

/// Five times the average of the training, and ten calls at least.
pub(crate) fn fixed_threshold(account: &Account, train: u32) -> Vec<Alarm> {
    each_key(account, train, |training| {
        let mean = training.iter().map(|count| f64::from(*count)).sum::<f64>() / training.len().max(1) as f64;
        Box::new(move |count| count >= (5.0 * mean).max(10.0))
    })
}

/// Three standard deviations above the average of the training.
pub(crate) fn three_sigma(account: &Account, train: u32) -> Vec<Alarm> {
    each_key(account, train, |training| {
        let n = training.len().max(1) as f64;
        let mean = training.iter().map(|count| f64::from(*count)).sum::<f64>() / n;
        let variance = training.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum::<f64>() / n;
        Box::new(move |count| count > mean + 3.0 * variance.sqrt().max(0.5))
    })
}

/// Three standard deviations above a moving average of about an hour.
pub(crate) fn ewma(account: &Account, train: u32) -> Vec<Alarm> {
    each_key(account, train, |_| {
        let (mut mean, mut variance) = (0.0, 1.0);
        Box::new(move |count| {
            let off: f64 = count - mean;
            let high = off > 3.0 * f64::max(variance, 0.25_f64).sqrt();
            mean += 0.033 * off;
            variance = 0.967 * (variance + 0.033 * off * off);
            high
        })
    })
}
