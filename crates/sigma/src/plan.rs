//! What a change of an account's rules comes to, before it is made.

use crate::accounts::reread;
use crate::service::ChangeError;
use crate::set::MOST_RULES;
use crate::store::{NewRule, StoredRule};
use crate::{Reason, Refused, Rule, RuleHead, RuleSet, read};

/// The texts of an account's rules together.
const MOST_TEXT_BYTES: usize = 8 << 20;

/// What loading comes to.
pub(crate) struct Plan {
    pub(crate) put: Vec<NewRule>,
    pub(crate) loaded: Vec<RuleHead>,
    pub(crate) unchanged: Vec<RuleHead>,
    pub(crate) refused: Vec<Refused>,
}

/// What loading these files on top of what is stored comes to.
pub(crate) fn plan(files: &[(String, String)], stored: &[StoredRule]) -> Result<Plan, ChangeError> {
    let (mut new, mut refused) = read(files.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    let is_same = |rule: &Rule| stored.iter().any(|known| known.id == rule.head.id && known.text == rule.text());
    let unchanged = new.iter().filter(|rule| is_same(rule)).map(|rule| rule.head.clone()).collect();
    new.retain(|rule| !is_same(rule));
    let old: Vec<Rule> = stored.iter().filter_map(reread).collect();
    bound(&mut new, &old, &mut refused);
    // A new version that is refused leaves the old one in place, which may be what another rule lacked: until all run.
    loop {
        let stays = |rule: &&Rule| new.iter().all(|new| new.head.id != rule.head.id);
        let merged: Vec<Rule> = old.iter().filter(stays).chain(&new).cloned().collect();
        let (_, failed) = RuleSet::of(&merged);
        let before = new.len();
        let is_of =
            |rule: &Rule, failed: &Refused| rule.document.label == failed.rule && rule.document.file == failed.file;
        let (mine, theirs): (Vec<Refused>, Vec<Refused>) =
            failed.into_iter().partition(|failed| new.iter().any(|rule| is_of(rule, failed)));
        new.retain(|rule| !mine.iter().any(|failed| is_of(rule, failed)));
        if new.len() == before {
            if let Some(failed) = theirs.into_iter().next() {
                return Err(ChangeError::StillNeeded { rule: failed.rule, reason: failed.reason });
            }
            break;
        }
        refused.extend(mine);
    }
    let put = new.iter().map(|rule| NewRule {
        id: rule.head.id.clone(),
        title: rule.head.title.clone(),
        level: rule.head.level,
        kind: rule.kind_name(),
        file: rule.file().chars().take(1024).collect(),
        text: rule.text().to_owned(),
    });
    Ok(Plan { put: put.collect(), loaded: new.iter().map(|rule| rule.head.clone()).collect(), unchanged, refused })
}

/// Refuses what is more than an account may have.
fn bound(new: &mut Vec<Rule>, old: &[Rule], refused: &mut Vec<Refused>) {
    let mut bytes: usize = old.iter().map(|rule| rule.text().len()).sum();
    let mut count = old.len();
    new.retain(|rule| {
        let replaced = old.iter().find(|old| old.head.id == rule.head.id);
        let after = (
            count + usize::from(replaced.is_none()),
            bytes + rule.text().len() - replaced.map_or(0, |old| old.text().len()),
        );
        let reason = if after.0 > MOST_RULES {
            Reason::TooMany(MOST_RULES)
        } else if after.1 > MOST_TEXT_BYTES {
            Reason::TooLarge { what: "the text of all rules in bytes", most: MOST_TEXT_BYTES }
        } else {
            (count, bytes) = after;
            return true;
        };
        refused.push(rule.document.refused(reason));
        false
    });
}

/// Checks that each of the rules runs without those that go.
pub(crate) fn still_run(rules: &[Rule]) -> Result<(), ChangeError> {
    match RuleSet::of(rules).1.into_iter().next() {
        None => Ok(()),
        Some(failed) => Err(ChangeError::StillNeeded { rule: failed.rule, reason: failed.reason }),
    }
}
