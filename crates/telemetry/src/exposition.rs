//! Prometheus's text format, as far as our own recorder writes it. (Prometheus, "Exposition formats".)

use std::collections::HashMap;

/// What a value does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only grows, from 0 at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// A value and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// E.g. `opentrail_delivery_failures_total`.
    pub(crate) name: String,
    /// Names and values, in the text's order.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) kind: Kind,
    pub(crate) value: f64,
}

/// The counters and gauges of a text; summaries and histograms are left out.
pub(crate) fn samples(text: &str) -> Vec<Sample> {
    let mut kinds = HashMap::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let kind = match declared.split_once(' ') {
                Some((name, "counter")) => (name, Kind::Counter),
                Some((name, "gauge")) => (name, Kind::Gauge),
                _ => continue,
            };
            kinds.insert(kind.0, kind.1);
        } else if !line.starts_with('#')
            && let Some((name, labels, value)) = sample(line)
            && let Some(kind) = kinds.get(name)
        {
            samples.push(Sample { name: name.to_owned(), labels, kind: *kind, value });
        }
    }
    samples
}

type Labels = Vec<(String, String)>;

fn sample(line: &str) -> Option<(&str, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value: f64 = rest.trim().parse().ok()?;
    value.is_finite().then_some((name, labels, value))
}

/// The labels before `}`, and what is behind it. In a value `\\`, `\"` and `\n` stand for a backslash, a quote, a new line.
fn labels(mut text: &str) -> Option<(Labels, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches(',');
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (mut value, mut rest) = (String::new(), rest.char_indices().map(|(at, c)| (at, c, rest)));
        text = loop {
            match rest.next()? {
                (at, '"', of) => break &of[at + 1..],
                (_, '\\', _) => match rest.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other, _) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges_are_read_with_their_labels() {
        let text = "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\na_total{x=\"1\",y=\"p,q}\"} 4.5\n\n\
                    # TYPE b gauge\nb{x=\"\\\"\\\\\\n\"} -2\nb{x=\"z\"} NaN\n\
                    # TYPE c summary\nc{quantile=\"0.5\"} 1\nc_sum 2\nc_count 2\nd 1\n";
        let of = |name: &str, labels: &[(&str, &str)], kind, value| Sample {
            name: name.to_owned(),
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            kind,
            value,
        };
        let wanted = [
            of("a_total", &[], Kind::Counter, 3.0),
            of("a_total", &[("x", "1"), ("y", "p,q}")], Kind::Counter, 4.5),
            of("b", &[("x", "\"\\\n")], Kind::Gauge, -2.0),
        ];
        assert_eq!(samples(text), wanted);
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        assert_eq!(samples("# TYPE a counter\na\na{\na{x\na{x=\"1\na{x=\"1\\\n{} 1\na one\n"), []);
    }
}
