//! A small chart for terminals.

use std::fmt::Write;

use opentrail_model::Timestamp;
use serde_json::Value;

use crate::explain::Explanation;

const ROWS: usize = 8;
/// Eighths of a row, from nothing to all of it.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Drawn where the band ends, if no bar is there.
const EDGE: char = '┄';

/// Draws the series, `width` columns wide at most: bars, the upper edge of what is usual as a dotted line, and below it who drove
/// the episode. Plain text; ends with a new line.
pub fn chart(explanation: &Explanation, width: usize) -> String {
    let width = width.clamp(20, 400);
    let per_point = f64::from(explanation.period) / 60.0;
    let wide = explanation.series.len().div_ceil(width).max(1);
    // A column that stands for several points shows the largest.
    let columns: Vec<f64> = explanation
        .series
        .chunks(wide)
        .map(|points| points.iter().map(|point| point.calls / per_point).fold(0.0, f64::max))
        .collect();
    let top = columns.iter().copied().fold(explanation.usual_at_most, f64::max).max(1.0);
    let mut out = String::new();
    let details = &explanation.insight_details;
    let text = |name: &str| details.get(name).and_then(Value::as_str).unwrap_or("-");
    let _ = write!(out, "{} {} {}", text("insightType"), text("eventSource"), text("eventName"));
    if let Some(code) = details.get("errorCode").and_then(Value::as_str) {
        let _ = write!(out, " {code}");
    }
    let from = Timestamp::from_secs(explanation.start);
    let until = explanation.end.map_or("now".to_owned(), |end| Timestamp::from_secs(end).to_iso());
    let _ = writeln!(
        out,
        "\n{from} to {until}; expected {:.2} a minute, usual at most {:.2}",
        explanation.expected, explanation.usual_at_most
    );
    for row in (0..ROWS).rev() {
        let label = top * (row + 1) as f64 / ROWS as f64;
        let _ = write!(out, "{label:>9.1} ");
        let edge = explanation.usual_at_most / top * ROWS as f64;
        for calls in &columns {
            let height = (calls / top * ROWS as f64 - row as f64).clamp(0.0, 1.0);
            let bar = BARS[(height * 8.0).round() as usize];
            out.push(if bar == ' ' && (row as f64..(row + 1) as f64).contains(&edge) { EDGE } else { bar });
        }
        out.push('\n');
    }
    if let Some(first) = explanation.series.first() {
        let _ = writeln!(out, "{:>9} {}", "from", Timestamp::from_secs(first.time));
    }
    contributors(&mut out, details);
    out
}

fn contributors(out: &mut String, details: &Value) {
    let attributions = details.pointer("/insightContext/attributions").and_then(Value::as_array);
    for attribution in attributions.into_iter().flatten() {
        let _ = writeln!(out, "{}", attribution.get("attribute").and_then(Value::as_str).unwrap_or("-"));
        for value in attribution.get("insight").and_then(Value::as_array).into_iter().flatten() {
            let average = value.get("average").and_then(Value::as_f64).unwrap_or_default();
            // A user agent is a stranger's text: nothing in it may steer a terminal.
            let name = value.get("value").and_then(Value::as_str).unwrap_or("-").replace(char::is_control, " ");
            let _ = writeln!(out, "{average:>9.2} {name}");
        }
    }
}
