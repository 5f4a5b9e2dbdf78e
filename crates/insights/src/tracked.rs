//! One key with all that is known of it.

use crate::attributions::{Attribution, Contributors};
use crate::key::Key;
use crate::method::{Bytes, Closed, HOUR, Knowledge, Malformed, Minute, Parameters, Series};
use crate::record::attributes;
use crate::texts::{TextId, Texts};

/// Calls that are this far above what is expected are looked at as a stretch of their own: who made them is the question.
const STRETCH: f64 = 6.0;
/// So are the minutes of a key's first hour with as many calls: what is surprising is not known yet.
const MANY: u32 = 100;

/// One key with all that is known of it.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// Its number in the store; numbers are not used again.
    pub(crate) id: u64,
    pub(crate) key: Key,
    pub(crate) series: Series,
    /// Calls in the open minute, and who made them.
    pub(crate) count: u32,
    pub(crate) current: Contributors,
    /// Who made the calls of the unusual stretch that goes on, if one does.
    pub(crate) stretch: Contributors,
    /// Who made all others.
    pub(crate) baseline: Contributors,
}

impl Tracked {
    pub(crate) fn new(id: u64, key: Key, minute: Minute) -> Self {
        Self {
            id,
            key,
            series: Series::new(minute),
            count: 0,
            current: Contributors::default(),
            stretch: Contributors::default(),
            baseline: Contributors::default(),
        }
    }

    /// Folds in the open minute.
    pub(crate) fn close(&mut self, minute: Minute, known: &Knowledge<'_>, parameters: Option<&Parameters>) -> Closed {
        let count = std::mem::take(&mut self.count);
        let closed = self.series.close(minute, count, known, parameters);
        let is_early_burst = count >= MANY && minute.since(self.series.first()) < HOUR;
        if is_early_burst || self.series.stretch() >= STRETCH || self.series.episode().is_some() {
            self.stretch.merge(&self.current);
        } else {
            // Before an episode's end is told its contributors are needed.
            if !matches!(closed, Closed::Over(_)) {
                self.settle();
            }
            self.baseline.merge(&self.current);
        }
        self.current.clear();
        closed
    }

    /// What a stretch was made of becomes part of the baseline.
    pub(crate) fn settle(&mut self) {
        if !self.stretch.is_empty() {
            let stretch = std::mem::take(&mut self.stretch);
            self.baseline.merge(&stretch);
        }
    }

    /// Who made the calls of the stretch, and those before it.
    pub(crate) fn attributions(&self, average: f64, baseline: f64, texts: &Texts) -> Vec<Attribution> {
        let all = attributes(&self.key).iter().map(|&attribute| Attribution {
            attribute,
            insight: self.stretch.top(attribute, average, texts),
            baseline: self.baseline.top(attribute, baseline, texts),
        });
        all.filter(|attribution| !attribution.insight.is_empty()).collect()
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = TextId> {
        self.current.values().chain(self.stretch.values()).chain(self.baseline.values())
    }

    /// What is stored of it, but for its key.
    pub(crate) fn write(&self, texts: &Texts, out: &mut Vec<u8>) {
        self.series.write(out);
        self.stretch.write(texts, out);
        self.baseline.write(texts, out);
    }

    pub(crate) fn read(id: u64, key: Key, texts: &mut Texts, bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let series = Series::read(bytes)?;
        let stretch = Contributors::read(texts, bytes)?;
        let baseline = Contributors::read(texts, bytes)?;
        let (count, current) = (0, Contributors::default());
        Ok(Self { id, key, series, count, current, stretch, baseline })
    }
}
