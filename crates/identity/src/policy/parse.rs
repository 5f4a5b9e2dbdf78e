use std::collections::HashSet;

use super::condition::Condition;
use super::json::Node;
use super::pattern::{ArnPattern, Pattern, Syntax, Variables};
use super::principals::PrincipalPattern;
use super::{Effect, Named, Policy, Statement};

/// The most characters a resource's policy may have, white space not counted: S3's 20 KB, the largest that AWS has.
pub const MAX_RESOURCE_POLICY_CHARACTERS: usize = 20 * 1024;

/// What a policy is for, which decides what it must and may not say, and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyUse {
    /// Rights of a user or role: no `Principal`. At most 10,240 characters without white space.
    Identity,
    /// Who may use a resource, e.g. a bucket: with `Principal`. At most [`MAX_RESOURCE_POLICY_CHARACTERS`].
    Resource,
    /// Who may use the resource that the policy is of: as [`Self::Resource`], but `Resource` may be left out, as there is
    /// no other. At most 8,192 characters, white space too. (CloudTrail API Reference, PutResourcePolicy.)
    Own,
    /// Who may assume a role: with `Principal`, without `Resource`. At most 4,096 characters.
    Trust,
    /// The limits of a session: no `Principal`. At most 2,048 characters, white space too.
    Session,
}

/// What is wrong with a policy document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy{}{place}: {problem}", if place.is_empty() { "" } else { " at " })]
pub struct PolicyError {
    /// The way to the element, e.g. `Statement[0].Effect`; empty for the whole document.
    pub place: String,
    /// What is wrong there and what would be right.
    pub problem: String,
}

impl PolicyUse {
    /// The longest policy in characters, as [`Self::length`] counts. (IAM User Guide, "IAM and AWS STS quotas".)
    pub fn max_characters(self) -> usize {
        match self {
            Self::Identity => 10_240,
            Self::Resource => MAX_RESOURCE_POLICY_CHARACTERS,
            Self::Own => 8_192,
            Self::Trust => 4_096,
            Self::Session => 2_048,
        }
    }

    /// How long `text` is in characters. White space does not count but in a session policy, which travels with its
    /// token. (STS API Reference, `AssumeRole`, `Policy`.)
    pub fn length(self, text: &str) -> usize {
        match self {
            Self::Session | Self::Own => text.chars().count(),
            _ => text.chars().filter(|c| !c.is_whitespace()).count(),
        }
    }

    fn has_principal(self) -> bool {
        matches!(self, Self::Resource | Self::Own | Self::Trust)
    }
}

impl Policy {
    /// Parses a policy document.
    ///
    /// # Errors
    /// The first thing that is wrong. Unknown elements, elements given twice and values that can match nothing are.
    pub fn parse(text: &str, purpose: PolicyUse) -> Result<Self, PolicyError> {
        let max = purpose.max_characters();
        if purpose.length(text) > max {
            return Err(error("", format!("is longer than {max} characters")));
        }
        // White space does not count, but must not be a way to feed in megabytes either.
        if text.len() > 16 * MAX_RESOURCE_POLICY_CHARACTERS {
            return Err(error("", "has too much white space".to_owned()));
        }
        let node = serde_json::from_str(text).map_err(|e| error("", format!("is not JSON: {e}")))?;
        let mut document = Members::of("", node)?;
        let variables = match document.take_text("Version")?.as_deref() {
            Some("2012-10-17") => Variables::Known,
            Some("2008-10-17") | None => Variables::Unknown,
            Some(other) => return Err(error("Version", format!("must be 2012-10-17 or 2008-10-17, not {other:?}"))),
        };
        document.take_text("Id")?;
        let statements = match document.take("Statement") {
            None => return Err(error("Statement", "is missing".to_owned())),
            Some(Node::List(list)) if list.is_empty() => return Err(error("Statement", "is empty".to_owned())),
            Some(Node::List(list)) => list,
            Some(one) => vec![one],
        };
        document.finish()?;
        let mut sids = HashSet::new();
        let statements = statements.into_iter().enumerate().map(|(index, node)| {
            let place = format!("Statement[{index}]");
            let (sid, statement) = parse_statement(&place, node, purpose, variables)?;
            match sid {
                Some(sid) if !sids.insert(sid.clone()) => {
                    Err(error(&format!("{place}.Sid"), format!("{sid:?} stands in another statement already")))
                }
                _ => Ok(statement),
            }
        });
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }
}

fn parse_statement(
    place: &str,
    node: Node,
    purpose: PolicyUse,
    variables: Variables,
) -> Result<(Option<String>, Statement), PolicyError> {
    let mut members = Members::of(place, node)?;
    let sid = members.take_text("Sid")?.filter(|sid| !sid.is_empty());
    if let Some(sid) = &sid
        && !matches!(purpose, PolicyUse::Resource | PolicyUse::Own)
        && !sid.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return Err(error(&members.place_of("Sid"), "must be letters and digits only".to_owned()));
    }
    let effect = match members.take_text("Effect")?.as_deref() {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(error(&members.place_of("Effect"), "must be Allow or Deny".to_owned())),
    };
    let principals = members.take_either("Principal", parse_principals)?;
    match &principals {
        None if purpose.has_principal() => {
            return Err(error(place, "must say Principal or NotPrincipal".to_owned()));
        }
        Some(_) if !purpose.has_principal() => {
            return Err(error(place, "must not say Principal: the policy belongs to its principal".to_owned()));
        }
        Some(Named::AllBut(_)) if effect == Effect::Allow => {
            return Err(error(place, "NotPrincipal works with Deny only; name who is allowed in Principal".to_owned()));
        }
        _ => {}
    }
    let actions = members.take_either("Action", |place, node| {
        texts(place, node)?.iter().map(|text| parse_action(text).map_err(|p| error(place, p))).collect()
    })?;
    let actions = actions.ok_or_else(|| error(place, "must say Action or NotAction".to_owned()))?;
    let resources = members.take_either("Resource", |place, node| {
        let parse = |text: &String| ArnPattern::parse(text, variables).map_err(|p| error(place, p));
        texts(place, node)?.iter().map(parse).collect()
    })?;
    match (&resources, purpose) {
        (Some(_), PolicyUse::Trust) => {
            return Err(error(place, "must not say Resource: a trust policy is about its role".to_owned()));
        }
        (None, PolicyUse::Identity | PolicyUse::Resource | PolicyUse::Session) => {
            return Err(error(place, "must say Resource or NotResource".to_owned()));
        }
        _ => {}
    }
    let conditions = match members.take("Condition") {
        None => Vec::new(),
        Some(node) => parse_conditions(&members.place_of("Condition"), node, variables)?,
    };
    members.finish()?;
    Ok((sid, Statement { effect, principals, actions, resources, conditions }))
}

/// `*`, or `service:Name` in which the name may hold wildcards. Case does not matter.
fn parse_action(text: &str) -> Result<Pattern, String> {
    let plain = |part: &str, also: &[u8]| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
    };
    let good = text == "*"
        || text.split_once(':').is_some_and(|(service, name)| plain(service, b"-") && plain(name, b"*?-_:"));
    if !good {
        return Err(format!("{text:?} is neither \"*\" nor an action such as cloudtrail:GetTrail"));
    }
    Pattern::parse(&text.to_ascii_lowercase(), Syntax::Wildcards, Variables::Unknown)
}

fn parse_principals(place: &str, node: Node) -> Result<Vec<PrincipalPattern>, PolicyError> {
    match node {
        Node::Text(text) if text == "*" => Ok(vec![PrincipalPattern::Anyone]),
        Node::Object(kinds) if !kinds.is_empty() => {
            let mut patterns = Vec::new();
            for (kind, node) in kinds {
                let place = format!("{place}.{kind}");
                for text in texts(&place, node)? {
                    patterns.push(PrincipalPattern::parse(&kind, &text).map_err(|p| error(&place, p))?);
                }
            }
            Ok(patterns)
        }
        _ => Err(error(place, "must be \"*\" or an object such as {\"AWS\": \"111122223333\"}".to_owned())),
    }
}

fn parse_conditions(place: &str, node: Node, variables: Variables) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (operator, node) in Members::of(place, node)?.members {
        let place = format!("{place}.{operator}");
        for (key, node) in Members::of(&place, node)?.members {
            let values = texts(&format!("{place}.{key}"), node)?;
            conditions.push(Condition::parse(&operator, &key, &values, variables).map_err(|p| error(&place, p))?);
        }
    }
    Ok(conditions)
}

/// A text or a list of texts, at least one. Numbers and truth values count as their spelling.
fn texts(place: &str, node: Node) -> Result<Vec<String>, PolicyError> {
    let nodes = match node {
        Node::List(list) if list.is_empty() => return Err(error(place, "is an empty list".to_owned())),
        Node::List(list) => list,
        one => vec![one],
    };
    nodes
        .into_iter()
        .map(|node| match node {
            Node::Text(text) | Node::Plain(text) => Ok(text),
            other => Err(error(place, format!("must be a text or a list of texts, not {}", other.kind()))),
        })
        .collect()
}

/// The members of an object that have not been taken yet, and where it stands.
struct Members {
    place: String,
    members: Vec<(String, Node)>,
}

impl Members {
    fn of(place: &str, node: Node) -> Result<Self, PolicyError> {
        match node {
            Node::Object(members) => Ok(Self { place: place.to_owned(), members }),
            other => Err(error(place, format!("must be an object, not {}", other.kind()))),
        }
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    fn take(&mut self, name: &str) -> Option<Node> {
        let index = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.remove(index).1)
    }

    fn take_text(&mut self, name: &str) -> Result<Option<String>, PolicyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(other) => Err(error(&self.place_of(name), format!("must be a text, not {}", other.kind()))),
        }
    }

    /// `name` or `Notname`, whichever is there.
    fn take_either<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str, Node) -> Result<Vec<T>, PolicyError>,
    ) -> Result<Option<Named<T>>, PolicyError> {
        let not = format!("Not{name}");
        match (self.take(name), self.take(&not)) {
            (None, None) => Ok(None),
            (Some(node), None) => Ok(Some(Named::These(parse(&self.place_of(name), node)?))),
            (None, Some(node)) => Ok(Some(Named::AllBut(parse(&self.place_of(&not), node)?))),
            (Some(_), Some(_)) => Err(error(&self.place, format!("must not say both {name} and {not}"))),
        }
    }

    fn finish(self) -> Result<(), PolicyError> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(error(&self.place_of(name), "is not an element of policies".to_owned())),
        }
    }
}

fn error(place: &str, problem: String) -> PolicyError {
    PolicyError { place: place.to_owned(), problem }
}
