//! What the answer's rows are: events, a number, or numbers by something.

use crate::dimensions;
use crate::plan::{About, Dimension, Plan, Shape};
use crate::words::{Words, number};

/// Claims what says so.
pub(crate) fn take(words: &mut Words, plan: &mut Plan) {
    let mut groups: Vec<Dimension> = Vec::new();
    newest(words, plan);
    ranks(words, plan, &mut groups);
    let counted = counts(words, plan, &mut groups);
    asked(words, plan, &mut groups, counted);
    by(words, plan, &mut groups);
    if !groups.is_empty() {
        plan.shape = Shape::Groups(groups);
    }
    plan.who = words.find("who|whom").is_some();
    words.take("who|whom|anyone|anybody|someone|somebody");
}

/// "the 10 latest events", "most recent 5", "last 20 calls".
fn newest(words: &mut Words, plan: &mut Plan) {
    let rows = "events|event|calls|call|logins|errors|actions|requests|changes|records|console|failed";
    for at in 0..words.len() {
        let the = words.matches(at, "the").unwrap_or(at);
        let (limit, next) = match number(words.lower(the)) {
            Some(limit) => (Some(limit), the + 1),
            None => (None, the),
        };
        let (oldest, next) = match words.matches(next, "most recent|latest").map(|end| (false, end)) {
            Some(found) if words.lower(next) == "most" => found,
            _ => match words.lower(next) {
                "latest" | "newest" => (false, next + 1),
                "last" => (false, next + 1),
                "first" | "oldest" | "earliest" => (true, next + 1),
                _ => continue,
            },
        };
        let (limit, end) = match (limit, number(words.lower(next))) {
            (None, Some(limit)) => (Some(limit), next + 1),
            (limit, _) => (limit, next),
        };
        let recent = words.lower(next - 1) != "last" && words.lower(next - 1) != "first";
        let of_rows = words.matches(end, rows).is_some()
            || (recent && (end >= words.len() || words.0[end].used || limit.is_some()));
        // "the last event" is one; "latest events" are all, the newest first.
        let one = limit.is_none() && matches!(words.lower(end), "event" | "call" | "login" | "error" | "change");
        if !of_rows || (limit.is_none() && !one && !recent) {
            continue;
        }
        words.claim(at..end);
        plan.limit = limit.or(one.then_some(1));
        plan.oldest_first = oldest;
        return;
    }
}

/// "top 10 users", "five most common error codes", "which role … most often".
fn ranks(words: &mut Words, plan: &mut Plan, groups: &mut Vec<Dimension>) {
    let common = "most common|frequent|called|used|active|often|frequently|assumed|read|busy";
    for at in 0..words.len() {
        let (from, mut end, limit) = if words.lower(at) == "top" {
            match number(words.lower(at + 1)) {
                Some(limit) => (at, at + 2, Some(limit)),
                None => (at, at + 1, None),
            }
        } else if let Some(limit) = number(words.lower(at))
            && words.matches(at + 1, common).is_some()
        {
            (at, at + 1, Some(limit))
        } else if words.matches(at, common).is_some() {
            (at, at, None)
        } else {
            continue;
        };
        end = words.matches(end, common).or_else(|| words.matches(end, "most|busiest|noisiest")).unwrap_or(end);
        let Some((dimension, after)) = dimensions::at(words, end, plan) else {
            if words.lower(at) == "most" && matches!(words.lower(at + 1), "often" | "frequently") {
                words.claim(at..at + 2);
                plan.ranked = true;
            }
            continue;
        };
        kind_of_user(words, plan, end, after);
        words.claim(from..after);
        if dimension.columns[0].0 == "errorCode" && plan.about(About::Outcome).is_none() {
            plan.filter(About::Outcome, "errorCode IS NOT NULL", "calls that failed");
        }
        groups.push(dimension);
        plan.ranked = true;
        plan.limit = limit.or(plan.limit);
        for measure in [
            "by|with the? number|count of the? events|calls|requests|actions|errors",
            "by the? number|count of",
            "by events|calls|requests|count|activity|volume|usage",
            "with the? most events|calls|requests|errors|activity",
            "with the? most",
        ] {
            if words.take(measure) {
                break;
            }
        }
        // "by denied calls": what is counted is understood already.
        for by in after..words.len() {
            if words.lower(by) == "by" && words.0.get(by + 1).is_some_and(|next| next.used) {
                words.claim(by..by + 1);
            }
        }
        return;
    }
}

/// "Which users were throttled the most", "which services get the most calls", "make the most Decrypt calls".
fn superlative(words: &mut Words, plan: &mut Plan) {
    for pattern in [
        "get|make|made|got|have|had|receive|cause|caused|with the? most events|calls|requests|activity|errors?",
        "get|make|made|got|have|had|receive|cause|caused|with the? most",
        "the? most often|frequently|frequent",
        "the? most events|calls|requests",
        "the most",
        "most",
    ] {
        if words.take(pattern) {
            plan.ranked = true;
            return;
        }
    }
}

fn kind_of_user(words: &Words, plan: &mut Plan, at: usize, end: usize) {
    if end == at + 2 && words.lower(at) == "iam" && words.lower(at + 1).starts_with("user") {
        plan.filter(About::CallersKind, "userIdentity.type = 'IAMUser'", "IAM users");
    }
}

/// "how many", "number of", "count": whether it counts.
fn counts(words: &mut Words, plan: &mut Plan, groups: &mut [Dimension]) -> bool {
    let starts = ["how many", "the? total? number of", "how often", "the? count of", "count"];
    let Some((at, end)) = starts.iter().find_map(|pattern| words.find(pattern)) else { return false };
    words.claim(at..end);
    let different = words.matches(end, "different|distinct|unique|separate");
    let what = different.unwrap_or(end);
    if groups.is_empty()
        && let Some((dimension, after)) = dimensions::at(words, what, plan)
        // "how many errors", "how many operations" are events unless they are to be different.
        && (different.is_some() || !counts_events(words, what))
    {
        kind_of_user(words, plan, what, after);
        words.claim(end..after);
        plan.shape = Shape::Distinct(dimension);
        return true;
    }
    words.take("times|time");
    plan.shape = Shape::Count;
    true
}

fn counts_events(words: &Words, at: usize) -> bool {
    words.matches(at, "errors|error|operations|actions|api|times|event|aws").is_some()
        && words.matches(at, "error codes").is_none()
}

/// "which services did …", "from which addresses", "list the roles that …".
fn asked(words: &mut Words, plan: &mut Plan, groups: &mut Vec<Dimension>, counted: bool) {
    if counted || !groups.is_empty() {
        return;
    }
    for at in 0..words.len() {
        let Some(mut end) = words.matches(at, "from|in? which|what").or_else(|| words.matches(at, "list|show the?"))
        else {
            continue;
        };
        let which = words.matches(at, "from|in? which|what").is_some();
        if words.lower(end - 1) == "in" || words.lower(end - 1) == "from" {
            continue;
        }
        let mut limit = None;
        if which {
            end = words.matches(end, "of? the? different?").unwrap_or(end);
            if let Some(count) = number(words.lower(end)) {
                limit = Some(count);
                end += 1;
            }
        }
        let Some((dimension, after)) = dimensions::at(words, end, plan) else { continue };
        // "which calls", "show the errors" are events; "list the users" needs something that they did.
        let events = ["errors", "error", "calls", "call", "api"].contains(&words.lower(end)) && after == end + 1;
        if events || dimensions::is_time(&dimension) || (!which && plan.filters.is_empty()) {
            continue;
        }
        kind_of_user(words, plan, end, after);
        words.claim(at..after);
        groups.push(dimension);
        superlative(words, plan);
        if plan.ranked {
            plan.limit = limit.or(plan.limit);
        } else if limit.is_some() {
            plan.contradiction = Some("it asks for some of them and does not say which".to_owned());
        }
        return;
    }
}

/// "by user", "per day and service", "for each account".
fn by(words: &mut Words, plan: &mut Plan, groups: &mut Vec<Dimension>) {
    for at in 0..words.len() {
        let Some(mut end) = words.matches(at, ",? broken|grouped|split down? by").or_else(|| {
            [",? by each?", ",? per", ",? for each|every", "did each|every", "each|every", "in each"]
                .iter()
                .find_map(|pattern| words.matches(at, pattern))
        }) else {
            continue;
        };
        let Some((mut dimension, mut after)) = dimensions::at(words, end, plan) else { continue };
        // "did each user" asks about users; "per user" divides everything, and some of it has none.
        let divides = !matches!(words.lower(end - 1), "each" | "every") || words.matches(at, ",? for|by").is_some();
        // "by user alice", "by account 1111…" were claimed before; "by users who …" is no grouping.
        words.claim(at..end);
        loop {
            words.claim(end..after);
            if !groups.contains(&dimension) {
                groups.push(Dimension { always: dimension.always && !divides, ..dimension });
            }
            let Some(next) = words.matches(after, ", and").or_else(|| words.matches(after, ",|and")) else { break };
            let next = words.matches(next, "by|per").unwrap_or(next);
            let Some((more, end_of_more)) = dimensions::at(words, next, plan) else { break };
            words.claim(after..next);
            (dimension, end, after) = (more, next, end_of_more);
        }
        if plan.shape == Shape::Events || plan.shape == Shape::Count {
            continue;
        }
        plan.contradiction = Some("it asks for a number of different values by something".to_owned());
    }
}
