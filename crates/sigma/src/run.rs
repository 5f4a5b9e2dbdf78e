//! One record against a set of rules, correlations included.

use std::collections::VecDeque;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use opentrail_model::Timestamp;
use rsigma_eval::event::{Event, EventValue, JsonEvent};
use serde_json::Value;

use crate::Correlator;
use crate::correlate::{CorrelationSpec, Entry, GroupKey, Source};
use crate::finding::{About, Correlated, Finding, finding_id};
use crate::set::{Correlation, RuleSet};

/// Of a group's values.
const MOST_GROUP_BYTES: usize = 2 << 10;

/// One event that rules found.
pub(crate) struct Found<'r> {
    pub(crate) set: &'r RuleSet,
    pub(crate) event: &'r Value,
    pub(crate) about: &'r About,
    pub(crate) record: &'r Bytes,
}

impl Found<'_> {
    /// The findings of the rules of these numbers, and of the correlations that are complete with them.
    pub(crate) fn findings(&self, rules: &[usize], correlator: &mut Correlator) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut found: VecDeque<(usize, i64, String)> = VecDeque::new();
        for rule in rules {
            if self.set.speaks[*rule] {
                let id = finding_id(&["event", &self.set.heads[*rule].id, &self.about.event_id]);
                findings.push(self.finding(*rule, id, self.about.time, None));
            }
            found.push_back((*rule, self.about.time.as_millis(), self.about.event_id.clone()));
        }
        // A correlation that is complete is an event for those that refer to it. Each is tied after what it refers to, so
        // that this ends.
        while let Some((rule, time, event)) = found.pop_front() {
            for (correlation, source) in &self.set.feeds[rule] {
                let correlation = &self.set.correlations[*correlation];
                let Some(finding) = self.correlate(correlation, *source, time, &event, correlator) else { continue };
                found.push_back((correlation.rule, finding.time.as_millis(), finding.id.clone()));
                if self.set.speaks[correlation.rule] {
                    findings.push(finding);
                }
            }
        }
        findings
    }

    fn correlate(
        &self,
        correlation: &Correlation,
        source: Source,
        time: i64,
        event: &str,
        correlator: &mut Correlator,
    ) -> Option<Finding> {
        let spec = &correlation.spec;
        let rule = spec.rules.get(usize::from(source.0))?;
        let group = self.group(spec, rule)?;
        let value = match &spec.kind {
            crate::correlate::Kind::ValueCount { fields, .. } => Some(self.counted(spec, fields, rule)?),
            _ => None,
        };
        let named: Vec<&str> = group.iter().map(|(_, value)| value.as_str()).collect();
        let key = GroupKey { rule: correlation.version.clone(), group: finding_id(&named) };
        let entry = Entry { time, event: event.to_owned(), rule: source.0, value };
        let window = correlator.observe(&key, spec, entry)?;
        let head = &self.set.heads[correlation.rule];
        let id = finding_id(&["correlation", &head.id, &key.group, &window.last, &window.end.to_string()]);
        let correlated = Correlated { group, count: window.count, events: window.events };
        Some(self.finding(correlation.rule, id, Timestamp::from_millis(window.end), Some(correlated)))
    }

    /// The values by which the correlation groups. An event without one of them belongs to no group.
    fn group(&self, spec: &CorrelationSpec, rule: &str) -> Option<Vec<(String, String)>> {
        let value = |name: &String| Some((name.clone(), self.text(spec.field(name, rule)?)?));
        spec.group_by.iter().map(value).collect()
    }

    /// A number that stands for the values that are counted; an event without one of them is not counted.
    fn counted(&self, spec: &CorrelationSpec, fields: &[String], rule: &str) -> Option<u64> {
        let values: Option<Vec<String>> = fields.iter().map(|name| self.text(spec.field(name, rule)?)).collect();
        let hash = digest(&SHA256, serde_json::to_string(&values?).unwrap_or_default().as_bytes());
        Some(u64::from_be_bytes(hash.as_ref().first_chunk().copied()?))
    }

    /// The field's value as a text, shortened where it is long by a hash of it.
    fn text(&self, path: &str) -> Option<String> {
        let text = match JsonEvent::borrow(self.event).get_field(path)? {
            EventValue::Null => return None,
            EventValue::Str(text) => text.into_owned(),
            other => other.to_json().to_string(),
        };
        if text.len() <= MOST_GROUP_BYTES {
            return Some(text);
        }
        Some(format!("sha256:{}", hex::encode(digest(&SHA256, text.as_bytes()))))
    }

    fn finding(&self, rule: usize, id: String, time: Timestamp, correlation: Option<Correlated>) -> Finding {
        Finding {
            id,
            rule: (*self.set.heads[rule]).clone(),
            time,
            account: self.about.account,
            region: self.about.region.clone(),
            event_id: self.about.event_id.clone(),
            record: self.record.clone(),
            correlation,
        }
    }
}
