//! The IAM policy language: strict parsing, and whether a statement applies.
//!
//! A [`Policy`] is parsed whole or refused with the place that is wrong; what cannot be understood never becomes a
//! statement that silently does nothing. Evaluation is a pure function of policy, requester, action, resource and
//! condition keys. How several policies together decide is [`Directory::authorize`]'s matter.
//! (IAM User Guide, "Grammar of the IAM JSON policy language".)
//!
//! [`Directory::authorize`]: crate::Directory::authorize

mod condition;
mod json;
mod parse;
mod pattern;
mod principals;
#[cfg(test)]
mod tests;

pub use self::parse::{MAX_RESOURCE_POLICY_CHARACTERS, PolicyError, PolicyUse};
pub(crate) use self::principals::{Naming, Requester};

use self::condition::Condition;
use self::pattern::{ArnPattern, Fit, Pattern};
use self::principals::PrincipalPattern;
use crate::Context;
use crate::context::Facts;

/// A parsed policy document.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// What a statement does where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It gives the right.
    Allow,
    /// It takes the right, whoever else gives it.
    Deny,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    effect: Effect,
    /// `None` in policies of an identity, where it goes without saying.
    principals: Option<Named<PrincipalPattern>>,
    /// In lower case.
    actions: Named<Pattern>,
    /// `None` in trust policies: the role itself.
    resources: Option<Named<ArnPattern>>,
    conditions: Vec<Condition>,
}

/// An element or its `Not…` form.
#[derive(Clone, Debug, PartialEq)]
enum Named<T> {
    These(Vec<T>),
    AllBut(Vec<T>),
}

/// What a policy by itself says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Silent,
    /// Allowed, and how directly the requester is named.
    Allow(Naming),
    /// Denied.
    Deny,
}

/// A request as policies see it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// In lower case.
    pub(crate) action: &'a str,
    /// An ARN, or `*` when the action has no resource.
    pub(crate) resource: &'a str,
    pub(crate) requester: Requester<'a>,
    pub(crate) facts: &'a Facts<'a>,
}

impl Policy {
    /// Whether a resource's policy lets the service `principal` (e.g. `cloudtrail.amazonaws.com`) do `action`
    /// (`s3:PutObject`) on `resource` (an ARN): some statement allows it, none denies it.
    pub fn allows_service(&self, principal: &str, action: &str, resource: &str, context: &Context) -> bool {
        let mut service = Context::new();
        service.insert("aws:PrincipalIsAWSService", "true");
        service.insert("aws:PrincipalServiceName", principal);
        let facts = Facts::new(&service, context);
        let requester = Requester::Service(principal);
        let question = Question { action: &action.to_ascii_lowercase(), resource, requester, facts: &facts };
        matches!(self.verdict(&question), Verdict::Allow(_))
    }

    /// What the policy says; a deny wins over an allow, whatever their order.
    pub(crate) fn verdict(&self, question: &Question<'_>) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            let Some(naming) = statement.applies(question) else { continue };
            verdict = match (statement.effect, verdict) {
                (Effect::Deny, _) => return Verdict::Deny,
                (Effect::Allow, Verdict::Allow(before)) => Verdict::Allow(before.max(naming)),
                (Effect::Allow, _) => Verdict::Allow(naming),
            };
        }
        verdict
    }
}

impl Statement {
    fn applies(&self, question: &Question<'_>) -> Option<Naming> {
        let naming = self.names(question.requester)?;
        let applies = self.covers_action(question)
            && self.covers_resource(question)
            && self.conditions.iter().all(|condition| condition.holds(question.facts));
        applies.then_some(naming)
    }

    fn names(&self, requester: Requester<'_>) -> Option<Naming> {
        match &self.principals {
            None => Some(Naming::Principal),
            Some(Named::These(these)) => these.iter().filter_map(|one| one.naming(requester)).max(),
            Some(Named::AllBut(spared)) => {
                (!spared.iter().any(|one| one.spares(requester))).then_some(Naming::Principal)
            }
        }
    }

    fn covers_action(&self, question: &Question<'_>) -> bool {
        self.covers(&self.actions, |pattern| pattern.fit(question.action, question.facts))
    }

    fn covers_resource(&self, question: &Question<'_>) -> bool {
        let fit = |pattern: &ArnPattern| pattern.fit(question.resource, question.facts);
        self.resources.as_ref().is_none_or(|resources| self.covers(resources, fit))
    }

    /// A pattern with a variable that has no value covers nothing. In a `Not…` list it might have spared the request:
    /// then an allow is not given, and a deny stands.
    fn covers<T>(&self, named: &Named<T>, fit: impl Fn(&T) -> Fit) -> bool {
        match named {
            Named::These(these) => these.iter().any(|one| fit(one) == Fit::Yes),
            Named::AllBut(spared) => !spared.iter().any(|one| match fit(one) {
                Fit::Yes => true,
                Fit::No => false,
                Fit::Unresolved => self.effect == Effect::Allow,
            }),
        }
    }
}
