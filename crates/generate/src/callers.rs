//! Who called: users, roles, the root user, and with what.

use crate::effects::{is_name, take_name};
use crate::literals::{next_of_list, one_of};
use crate::plan::{About, Plan};
use crate::words::Words;

/// Claims the root user and what is named by kind: "user alice", "the role deploy", "bucket audit-logs".
pub(crate) fn take_named(words: &mut Words, plan: &mut Plan) {
    for pattern in ["by? the? root user|account|identity", "by? the? root"] {
        if words.take(pattern) {
            plan.filter(About::CallersKind, "userIdentity.type = 'Root'", "the root user");
        }
    }
    let users = ["by? the? iam? user called", "by? the? iam? user|users named?"];
    names(words, plan, &users, "userIdentity.userName", "user name");
    let role = "userIdentity.sessionContext.sessionIssuer.userName";
    names(words, plan, &["by|for? the? iam? role called", "by|for? the? iam? role|roles named?"], role, "role");
    for (noun, member) in
        [("bucket|buckets", "bucketName"), ("secret", "secretId"), ("function", "functionName"), ("table", "tableName")]
    {
        let pattern = format!("the? {noun}");
        let mut at = 0;
        while at < words.len() {
            match words.matches(at, &pattern) {
                Some(end) if take_name(words, plan, end, member) => {
                    words.claim(at..end);
                    at = end;
                }
                _ => at += 1,
            }
        }
    }
}

fn names(words: &mut Words, plan: &mut Plan, patterns: &[&str], column: &str, what: &str) {
    for at in 0..words.len() {
        let Some(start) = patterns.iter().find_map(|pattern| words.matches(at, pattern)) else { continue };
        let Some((values, end)) = list_of_names(words, start) else { continue };
        words.claim(at..end);
        plan.filter(About::Caller, one_of(column, &values, false), format!("{what} {}", values.join(" or ")));
    }
}

/// Names in a list that begins at `at`, and where it ends.
fn list_of_names(words: &Words, at: usize) -> Option<(Vec<String>, usize)> {
    let one = |at: usize| words.free(at).filter(|word| is_name(word, false)).map(|word| word.text.clone());
    let mut values = vec![one(at)?];
    let mut end = at + 1;
    while let Some(next) = next_of_list(words, end)
        && let Some(value) = one(next)
    {
        values.push(value);
        end = next + 1;
    }
    Some((values, end))
}

/// Claims users who are named where only a caller can stand: "by alice", "did alice do", "alice's activity".
pub(crate) fn take_bare(words: &mut Words, plan: &mut Plan) {
    for at in 0..words.len() {
        let led = words.matches(at, "by").or_else(|| words.matches(at, "did|has|have"));
        let Some(start) = led else { continue };
        let Some((values, end)) = list_of_names(words, start) else { continue };
        // "did alice" needs its verb.
        let asked = words.lower(at) == "by"
            || words
                .matches(
                    end,
                    "do|done|call|called|use|used|make|made|perform|performed|access|touch|get|change|delete|create",
                )
                .is_some()
            || words.any(end) == "do";
        if !asked {
            continue;
        }
        words.claim(at..end);
        for verb in ["do|done", "call|called", "use|used", "make|made", "perform|performed"] {
            if let Some(after) = words.matches(end, verb) {
                words.claim(end..after);
            }
        }
        let sql = one_of("userIdentity.userName", &values, false);
        plan.filter(About::Caller, sql, format!("user name {}", values.join(" or ")));
    }
    for at in 0..words.len() {
        let Some(word) = words.free(at).filter(|word| word.possessive && is_name(word, false)) else { continue };
        let name = word.text.clone();
        if words.matches(at + 1, "activity|activities|actions|calls|events|logins|errors|requests|changes").is_some()
            || words.0.get(at + 1).is_some_and(|next| next.used)
        {
            words.claim(at..at + 1);
            let sql = one_of("userIdentity.userName", std::slice::from_ref(&name), false);
            plan.filter(About::Caller, sql, format!("user name {name}"));
        }
    }
    // "the deploy role".
    for at in 0..words.len() {
        let Some(end) = words.matches(at + 1, "role") else { continue };
        let Some(name) = words.free(at).filter(|word| is_name(word, false)).map(|word| word.text.clone()) else {
            continue;
        };
        let by = at.checked_sub(1).map_or(at, |before| if words.lower(before) == "the" { before } else { at });
        let by = by.checked_sub(1).map_or(by, |before| if words.lower(before) == "by" { before } else { by });
        words.claim(by..end);
        let column = "userIdentity.sessionContext.sessionIssuer.userName";
        plan.filter(About::Caller, one_of(column, std::slice::from_ref(&name), false), format!("role {name}"));
    }
    // "What did the user alice do?"
    if plan.filters.iter().any(|filter| {
        matches!(filter.about, About::Caller | About::CallersKind | About::Key | About::Address | About::CallersAccount)
    }) {
        words.take("do|done");
    }
}
