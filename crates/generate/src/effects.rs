//! What was done to what: "deleted buckets", "buckets that were deleted", "the deletion of buckets".
//!
//! A verb and a noun are an operation if a service has one of that name: "created" and "NAT gateways" are
//! `CreateNatGateway`. `vocabulary` lists what people call otherwise than the API.

use crate::literals::{events_sql, next_of_list, said};
use crate::names::{quote, regex_of, service};
use crate::operations::{self, Operation};
use crate::plan::{About, Plan};
use crate::vocabulary::{MEMBERS, NOUNS, VAGUE, VERBS, Verb};
use crate::words::{Words, singular};

/// Claims them: verbs with what they were done to.
pub(crate) fn take(words: &mut Words, plan: &mut Plan) {
    for at in 0..words.len() {
        if words.lower(at).is_empty() {
            continue;
        }
        let Some(found) = effect(words, at) else { continue };
        let Effect { operations, from, to, tried, member } = found;
        words.claim(from..to);
        plan.filter(About::Event, events_sql(&operations), said(&operations));
        if operations.iter().all(|operation| operation.sources.len() == 1)
            && operations.windows(2).all(|pair| pair[0].sources == pair[1].sources)
        {
            let source = operations[0].sources[0];
            plan.filter(About::Service, service_sql(source), format!("service {source}"));
        }
        if let Some(member) = member {
            take_name(words, plan, to, member);
        }
        if tried {
            // Whether it came to it is not asked.
        } else if plan.about(About::Outcome).is_none() {
            plan.filter(About::Outcome, SUCCEEDED, "calls that succeeded");
        }
    }
}

pub(crate) const SUCCEEDED: &str = "errorCode IS NULL";

pub(crate) fn service_sql(source: &str) -> String {
    format!("eventSource = '{source}.amazonaws.com'")
}

struct Effect {
    operations: Vec<Operation>,
    from: usize,
    to: usize,
    tried: bool,
    member: Option<&'static str>,
}

fn effect(words: &Words, at: usize) -> Option<Effect> {
    let (verbs, after, form) = verbs_at(words, at)?;
    // "tried to delete", "attempts to create".
    let mut from = at;
    let mut tried = false;
    if form == Form::Base {
        let led = [("tried|trying|tries to", 2), ("attempted|attempts|attempt to", 2)];
        let lead = led.into_iter().find_map(|(pattern, length)| {
            let start = at.checked_sub(length)?;
            (words.matches(start, pattern) == Some(at)).then_some(start)
        });
        let failed = at >= 2 && words.any(at - 2) == "failed" && words.lower(at - 1) == "to";
        if failed {
            tried = true;
            from = at - 1;
        } else if let Some(start) = lead {
            // What failed is claimed as such later.
            tried = true;
            from = start;
        } else if !asked_before(words, at) {
            // An order to do it, not a question.
            return None;
        }
    }
    // "deleted [the] [EC2] instances".
    let mut noun = after;
    while ["the", "a", "an", "any", "some", "of", "our", "my", "all"].contains(&words.lower(noun)) {
        noun += 1;
    }
    if let Some((operations, end, member)) = noun_from(words, noun, &verbs) {
        return Some(Effect { operations, from, to: end, tried, member });
    }
    // "[EC2] instances [that] [were|have been] deleted".
    if form == Form::Base {
        return None;
    }
    let mut before = at;
    while before > 0
        && ["were", "was", "are", "is", "been", "have", "has", "being", "got", "that", "which", "ever", "to", "be"]
            .contains(&words.lower(before - 1))
    {
        before -= 1;
    }
    let (operations, start, _) = noun_until(words, before, &verbs)?;
    Some(Effect { operations, from: start, to: after, tried, member: None })
}

/// Whether "did alice", "does", "did anyone", stand shortly before.
fn asked_before(words: &Words, at: usize) -> bool {
    (at.saturating_sub(3)..at).any(|before| ["did", "has", "have"].contains(&words.any(before)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Past,
    Base,
    Noun,
}

/// One verb or several in a list.
fn verbs_at(words: &Words, at: usize) -> Option<(Vec<&'static Verb>, usize, Form)> {
    let (first, form) = verb_at(words, at)?;
    let (mut verbs, mut end) = (vec![first], at + 1);
    while let Some(next) = next_of_list(words, end)
        && let Some((verb, same)) = verb_at(words, next)
        && same == form
    {
        verbs.push(verb);
        end = next + 1;
    }
    Some((verbs, end, form))
}

fn verb_at(words: &Words, at: usize) -> Option<(&'static Verb, Form)> {
    let word = words.lower(at);
    if word.is_empty() {
        return None;
    }
    VERBS.iter().find_map(|verb| {
        let form = if verb.past.contains(&word) {
            Form::Past
        } else if verb.base == word {
            Form::Base
        } else if verb.noun.contains(&word) {
            Form::Noun
        } else {
            return None;
        };
        Some((verb, form))
    })
}

type Found = (Vec<Operation>, usize, Option<&'static str>);

/// The longest noun that begins at `at` and has all the verbs.
fn noun_from(words: &Words, at: usize, verbs: &[&Verb]) -> Option<Found> {
    let (source, start) = match service(words, at) {
        Some((source, end)) => (Some(source), end),
        None => (None, at),
    };
    let with_service = (1..=4).rev().find_map(|length| noun(words, start..start + length, source, verbs));
    // "KMS key rotation" after a service; "SSM sessions"; or the service's name is part of the noun.
    with_service.or_else(|| (1..=4).rev().find_map(|length| noun(words, at..at + length, None, verbs)))
}

fn noun_until(words: &Words, end: usize, verbs: &[&Verb]) -> Option<(Vec<Operation>, usize, Option<&'static str>)> {
    (1..=4).rev().find_map(|length| {
        let start = end.checked_sub(length)?;
        // "EC2 instances", "Secrets Manager secrets": the service is before the noun.
        let serviced = (1..=3).rev().find_map(|before| {
            let at = start.checked_sub(before)?;
            service(words, at).filter(|(_, after)| *after == start).map(|(source, _)| (source, at))
        });
        if let Some((source, from)) = serviced
            && let Some((operations, _, member)) = noun(words, start..end, Some(source), verbs)
        {
            return Some((operations, from, member));
        }
        noun(words, start..end, None, verbs).map(|(operations, _, member)| (operations, start, member))
    })
}

fn noun(words: &Words, range: std::ops::Range<usize>, source: Option<&str>, verbs: &[&Verb]) -> Option<Found> {
    let parts: Vec<&str> = range.clone().map(|at| words.lower(at)).collect();
    if parts.iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return None;
    }
    let (last, firsts) = parts.split_last()?;
    if firsts.is_empty() && source.is_none() && VAGUE.contains(&singular(last).as_str()) {
        return None;
    }
    let one = format!("{}{}", firsts.concat(), singular(last));
    let known = NOUNS.iter().find(|(noun, _, _)| *noun == one);
    let several = parts.concat();
    let spellings: Vec<String> = match known {
        Some((_, _, spellings)) => spellings.iter().map(|spelling| (*spelling).to_owned()).collect(),
        None => vec![one.clone()],
    };
    // A service that is named counts; else the one that the noun belongs to.
    let source = source.or_else(|| known.map(|(_, source, _)| *source).filter(|source| !source.is_empty()));
    let mut operations: Vec<Operation> = Vec::new();
    for verb in verbs {
        let found = verb.starts.iter().find_map(|start| {
            let mut found: Vec<Operation> = Vec::new();
            for spelling in &spellings {
                for name in [format!("{start}{spelling}"), format!("{start}{spelling}s"), format!("{start}{several}")] {
                    for operation in operations::named(&name, source) {
                        if !found.contains(&operation) {
                            found.push(operation);
                        }
                    }
                }
            }
            (!found.is_empty()).then_some(found)
        });
        let shared = if verb.base == "share" { sharing(&one) } else { None };
        for operation in found.or(shared)? {
            if !operations.contains(&operation) {
                operations.push(operation);
            }
        }
    }
    // A secret that is made has its name elsewhere.
    let made = verbs.iter().any(|verb| verb.base == "create");
    let member = MEMBERS.iter().find(|(noun, member)| *noun == one && !(made && *member == "secretId"));
    let member = member.map(|(_, member)| *member);
    Some((operations, range.end, member))
}

/// Snapshots and images are shared by a change of their attributes.
fn sharing(noun: &str) -> Option<Vec<Operation>> {
    let names: &[&str] = match noun {
        "snapshot" => &["ModifySnapshotAttribute", "ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute"],
        "ami" | "image" => &["ModifyImageAttribute"],
        _ => return None,
    };
    Some(names.iter().filter_map(|name| operations::spelled(name)).collect())
}

/// "the bucket [named] audit-logs": the name behind the noun.
pub(crate) fn take_name(words: &mut Words, plan: &mut Plan, at: usize, member: &str) -> bool {
    let name_at = words.matches(at, "named|called").unwrap_or(at);
    let Some(name) = words.free(name_at).filter(|word| is_name(word, name_at > at)).map(|word| word.text.clone())
    else {
        return false;
    };
    words.claim(at..name_at + 1);
    let value = format!("element_at(requestParameters, '{member}')");
    let noun = MEMBERS.iter().find(|(_, one)| *one == member).map_or("resource", |(noun, _)| noun);
    // What may be named by its ARN, too.
    let arn = match member {
        "name" => Some((":trail/", "")),
        "functionName" => Some((":function:", "(:.*)?")),
        "stackName" => Some((":stack/", "(/.*)?")),
        "secretId" => Some((":secret:", "(-[A-Za-z0-9]{6})?")),
        _ => None,
    };
    let sql = match arn {
        None => format!("{value} = {}", quote(&name)),
        Some((before, after)) => {
            let of_arn = regex_of(&format!("^arn:.*{before}"), &name, &format!("{after}$"));
            format!("({value} = {} OR regexp_like({value}, {of_arn}))", quote(&name))
        }
    };
    plan.filter(About::Resource, sql, format!("{noun} {name}"));
    true
}

/// Words of a question are not names of resources, unless they are in quotes or something says so.
pub(crate) fn is_name(word: &crate::words::Word, said_so: bool) -> bool {
    let plain = !word.text.is_empty()
        && word.text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@+=/".contains(&byte));
    let capital = word.text.starts_with(|first: char| first.is_ascii_uppercase());
    let is_word = crate::fillers::is_word(&word.lower) && !capital;
    word.quoted || (plain && (said_so || (!is_word && operations::source(&word.lower).is_none())))
}
