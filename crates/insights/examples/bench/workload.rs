//! Labelled workloads: accounts with keys of many kinds, and what is injected into them.

use crate::sampling::Sampler;

pub(crate) const HOUR: u32 = 60;
pub(crate) const DAY: u32 = 1440;
pub(crate) const WEEK: u32 = 7 * DAY;

/// How a key behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Steady,
    Daily,
    Weekly,
    Growth,
    Cron,
    Deployment,
    Rare,
    Errors,
    Unused,
}

/// What was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Injected {
    Burst(u32),
    SlowEnumeration,
    ErrorStorm,
    FirstUse,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Anomaly {
    pub(crate) key: usize,
    pub(crate) kind: Injected,
    /// In minutes, with a fraction: a burst begins within a minute.
    pub(crate) start: f64,
    pub(crate) minutes: u32,
    /// Calls per minute that the key makes at that time; `None` when it makes jobs, or none.
    pub(crate) rate: Option<f64>,
}

impl Anomaly {
    pub(crate) fn first(&self) -> u32 {
        self.start as u32
    }

    pub(crate) fn end(&self) -> u32 {
        self.first() + self.minutes
    }
}

/// An account: counts per minute of each key, from a Monday's midnight.
pub(crate) struct Account {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) counts: Vec<Vec<u16>>,
    pub(crate) anomalies: Vec<Anomaly>,
}

struct Shape {
    kind: Kind,
    /// Calls per minute at the busiest, or calls per job.
    rate: f64,
    night: f64,
    weekend: f64,
    peak: f64,
    dispersion: f64,
    noise: f64,
    growth: f64,
    period: u32,
    offset: u32,
    spread: u32,
    background: f64,
}

impl Shape {
    fn new(kind: Kind, s: &mut Sampler) -> Self {
        let job = matches!(kind, Kind::Cron | Kind::Deployment);
        let rate = match kind {
            Kind::Rare => s.log_uniform(0.1, 1.0) / f64::from(DAY),
            Kind::Errors => s.log_uniform(0.003, 1.0),
            _ if job => s.log_uniform(10.0, 1000.0),
            _ => s.log_uniform(0.05, 100.0),
        };
        let period = s.pick(&[5, HOUR, HOUR, 6 * HOUR, DAY, DAY, WEEK]);
        Self {
            kind,
            rate,
            night: s.log_uniform(0.03, 0.5),
            weekend: s.log_uniform(0.02, 0.5),
            peak: s.uniform(9.0, 17.0),
            dispersion: match kind {
                Kind::Rare => s.uniform(2.0, 6.0),
                Kind::Errors => s.uniform(1.5, 5.0),
                _ => s.log_uniform(1.0, 5.0),
            },
            noise: s.uniform(0.02, 0.3),
            growth: s.uniform(0.01, 0.03),
            period,
            offset: (s.uniform(0.0, f64::from(period))) as u32,
            spread: s.uniform(1.0, 6.0) as u32,
            background: s.log_uniform(0.001, 0.1),
        }
    }

    /// What is expected in the minute, jobs aside.
    fn level(&self, minute: u32) -> f64 {
        let hour = f64::from(minute % DAY) / 60.0;
        let day = 0.5 + 0.5 * ((hour - self.peak) / 24.0 * std::f64::consts::TAU).cos();
        let rhythm = self.night + (1.0 - self.night) * day * day;
        let weekend = minute / DAY % 7 >= 5;
        match self.kind {
            Kind::Steady | Kind::Rare => self.rate,
            Kind::Daily | Kind::Errors => self.rate * rhythm,
            Kind::Weekly => self.rate * rhythm * if weekend { self.weekend } else { 1.0 },
            Kind::Growth => self.rate * rhythm * (1.0 + self.growth).powf(f64::from(minute) / f64::from(DAY)) / 2.0,
            Kind::Cron | Kind::Deployment => self.background,
            Kind::Unused => 0.0,
        }
    }

    fn counts(&self, minutes: u32, deployments: &[u32], s: &mut Sampler) -> Vec<u16> {
        let mut drift = 0.0;
        let mut counts: Vec<u16> = (0..minutes)
            .map(|minute| {
                let level = self.level(minute);
                if level == 0.0 {
                    return 0;
                }
                // A slow drift around the level, with a memory of half an hour.
                drift = drift * 0.967 + self.noise * 0.255 * s.normal();
                small(s.clumped(level * f64::exp(drift), self.dispersion))
            })
            .collect();
        match self.kind {
            Kind::Cron => {
                for start in (self.offset..minutes).step_by(self.period as usize) {
                    let late = s.uniform(0.0, 2.0) as u32;
                    let size = self.rate * s.lognormal(0.2);
                    job(&mut counts, start + late, self.spread, size, s);
                }
            }
            Kind::Deployment => {
                for &start in deployments {
                    if s.chance(0.7) {
                        let (size, spread) = (self.rate * s.lognormal(0.4), s.uniform(5.0, 15.0) as u32);
                        job(&mut counts, start, spread, size, s);
                    }
                }
            }
            _ => {}
        }
        counts
    }
}

fn small(count: u32) -> u16 {
    count.min(u16::MAX.into()) as u16
}

/// Adds `calls` calls, spread over `minutes` from `start`.
fn job(counts: &mut [u16], start: u32, minutes: u32, calls: f64, s: &mut Sampler) {
    for minute in start..start + minutes.max(1) {
        if let Some(count) = counts.get_mut(minute as usize) {
            *count = count.saturating_add(small(s.poisson(calls / f64::from(minutes.max(1)))));
        }
    }
}

fn kind_of(key: usize) -> Kind {
    match key % 20 {
        0..=3 => Kind::Steady,
        4..=8 => Kind::Daily,
        9..=11 => Kind::Weekly,
        12 => Kind::Growth,
        13 | 14 => Kind::Cron,
        15 | 16 => Kind::Deployment,
        17 | 18 => Kind::Rare,
        _ => Kind::Errors,
    }
}

impl Account {
    /// An account with `keys` keys over `minutes` minutes; `anomalies` of them are injected after `train` minutes, each into a key
    /// of its own.
    pub(crate) fn generate(seed: u64, keys: usize, minutes: u32, train: u32, anomalies: usize) -> Self {
        let mut s = Sampler::new(seed);
        let deployments = deployments(minutes, &mut s);
        let mut kinds: Vec<Kind> = (0..keys).map(kind_of).collect();
        kinds.extend(vec![Kind::Unused; anomalies / 6 + 1]);
        let shapes: Vec<Shape> = kinds.iter().map(|kind| Shape::new(*kind, &mut s)).collect();
        let counts = shapes.iter().map(|shape| shape.counts(minutes, &deployments, &mut s.fork())).collect();
        let mut account = Self { kinds, counts, anomalies: Vec::new() };
        for n in 0..anomalies {
            account.inject(n, &shapes, train, minutes, &mut s);
        }
        account
    }

    fn inject(&mut self, n: usize, shapes: &[Shape], train: u32, minutes: u32, s: &mut Sampler) {
        let kind = match n % 12 {
            0 | 1 => Injected::Burst(3),
            2..=5 => Injected::Burst(10),
            6 | 7 => Injected::Burst(100),
            8 => Injected::SlowEnumeration,
            9 | 10 => Injected::ErrorStorm,
            _ => Injected::FirstUse,
        };
        for _ in 0..10_000 {
            let key = s.uniform(0.0, shapes.len() as f64) as usize;
            let start = s.uniform(f64::from(train), f64::from(minutes - 5 * HOUR));
            if self.anomalies.iter().any(|other| other.key == key) || !fits(kind, &shapes[key], start as u32) {
                continue;
            }
            let length = match kind {
                Injected::SlowEnumeration => s.uniform(120.0, 240.0) as u32,
                Injected::ErrorStorm => s.uniform(5.0, 30.0) as u32,
                Injected::FirstUse => s.uniform(3.0, 20.0) as u32,
                Injected::Burst(_) => s.pick(&[2, 3, 5, 7, 10, 15, 30, 60]),
            };
            let is_regular = matches!(shapes[key].kind, Kind::Steady | Kind::Daily | Kind::Weekly | Kind::Growth);
            let rate = is_regular.then(|| shapes[key].level(start as u32));
            let anomaly = Anomaly { key, kind, start, minutes: length, rate };
            let per_minute = match kind {
                Injected::SlowEnumeration => s.uniform(1.0, 3.0),
                Injected::ErrorStorm => s.uniform(30.0, 500.0),
                Injected::FirstUse => s.uniform(10.0, 100.0),
                Injected::Burst(_) => 0.0,
            };
            self.add(&anomaly, &shapes[key], per_minute, s);
            self.anomalies.push(anomaly);
            return;
        }
        panic!("no key fits {kind:?}: more keys are needed");
    }

    fn add(&mut self, anomaly: &Anomaly, shape: &Shape, per_minute: f64, s: &mut Sampler) {
        for minute in anomaly.first()..anomaly.end() {
            let part = if minute == anomaly.first() { 1.0 - anomaly.start.fract() } else { 1.0 };
            let rate = match anomaly.kind {
                Injected::Burst(times) if matches!(shape.kind, Kind::Cron | Kind::Deployment) => {
                    // So many times what a job does in a minute.
                    f64::from(times) * shape.rate
                        / f64::from(shape.spread.max(if shape.kind == Kind::Cron { 1 } else { 10 }))
                }
                Injected::Burst(times) => f64::from(times - 1) * shape.level(minute),
                _ => per_minute,
            };
            let count = &mut self.counts[anomaly.key][minute as usize];
            *count = count.saturating_add(small(s.clumped(rate * part, shape.dispersion)));
        }
    }
}

/// Whether the key is one that the anomaly is meant for, at that time. Bursts come upon keys that are established: calls every
/// minute at that time, or a job of their own.
fn fits(kind: Injected, shape: &Shape, minute: u32) -> bool {
    let regular = matches!(shape.kind, Kind::Steady | Kind::Daily | Kind::Weekly | Kind::Growth);
    match kind {
        Injected::Burst(_) => {
            (regular && shape.level(minute) >= 1.0)
                || matches!(shape.kind, Kind::Deployment)
                || (shape.kind == Kind::Cron && shape.period <= DAY)
        }
        Injected::SlowEnumeration => shape.kind == Kind::Rare || (shape.kind == Kind::Steady && shape.rate < 0.1),
        Injected::ErrorStorm => shape.kind == Kind::Errors,
        Injected::FirstUse => shape.kind == Kind::Unused,
    }
}

/// Four a week, in working hours.
fn deployments(minutes: u32, s: &mut Sampler) -> Vec<u32> {
    let mut starts = Vec::new();
    for day in 0..minutes / DAY {
        if day % 7 < 5 && s.chance(0.8) {
            starts.push(day * DAY + s.uniform(9.0 * 60.0, 17.0 * 60.0) as u32);
        }
    }
    starts
}
