//! Who and what a count is made of: the callers, their user agents, the error codes.

use crate::method::{Bytes, Malformed};
use crate::texts::{TextId, Texts};

/// Values kept for each attribute.
const KEPT: usize = 8;
/// Values that a record names for each attribute, at most. (User Guide, "CloudTrail Insights record contents".)
pub const TOLD: usize = 5;
/// The longest value that is kept, in bytes.
pub(crate) const LONGEST_VALUE: usize = 512;
/// Counts beyond this are halved, so that what is new is seen beside what was.
const MOST: u32 = 1 << 24;

/// An attribute of calls, as records spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Attribute {
    /// `userIdentity.arn`; for roles without the session's name.
    UserIdentityArn = 0,
    /// `userAgent`.
    UserAgent = 1,
    /// `errorCode`; the text `null` when there is none.
    ErrorCode = 2,
}

impl Attribute {
    /// All of them, in the order of records.
    pub const ALL: [Self; 3] = [Self::UserIdentityArn, Self::UserAgent, Self::ErrorCode];

    /// As records spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserIdentityArn => "userIdentityArn",
            Self::UserAgent => "userAgent",
            Self::ErrorCode => "errorCode",
        }
    }
}

/// A value and how many calls had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    attribute: Attribute,
    value: TextId,
    calls: u32,
}

/// The most frequent values of each attribute, within bounds.
///
/// Space-Saving (Ahmed Metwally, Divyakant Agrawal, Amr El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data
/// Streams", 2005): a ninth value takes the place of the rarest and inherits its count, so that a count is too high by at most an eighth
/// of all calls, and a value with more than an eighth of the calls is never missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contributors {
    shares: Vec<Share>,
}

impl Contributors {
    /// Counts `calls` calls with this value.
    pub(crate) fn add(&mut self, attribute: Attribute, value: TextId, calls: u32) {
        let mut of_attribute = 0;
        let mut rarest: Option<usize> = None;
        for at in 0..self.shares.len() {
            let share = self.shares[at];
            if share.attribute != attribute {
                continue;
            }
            if share.value == value {
                return self.count(at, calls);
            }
            of_attribute += 1;
            if rarest.is_none_or(|rarest| share.calls < self.shares[rarest].calls) {
                rarest = Some(at);
            }
        }
        match rarest {
            Some(at) if of_attribute >= KEPT => {
                self.shares[at].value = value;
                self.count(at, calls);
            }
            _ => self.shares.push(Share { attribute, value, calls }),
        }
    }

    fn count(&mut self, at: usize, calls: u32) {
        let share = &mut self.shares[at];
        share.calls = share.calls.saturating_add(calls);
        if share.calls > MOST {
            self.shares.iter_mut().for_each(|share| share.calls /= 2);
        }
    }

    /// Adds what another counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for share in &other.shares {
            self.add(share.attribute, share.value, share.calls);
        }
    }

    /// Lets go of all.
    pub(crate) fn clear(&mut self) {
        self.shares = Vec::new();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// The texts that it refers to.
    pub(crate) fn values(&self) -> impl Iterator<Item = TextId> {
        self.shares.iter().map(|share| share.value)
    }

    /// The largest values of `attribute`, each with its part of `average`, largest first.
    pub(crate) fn top(&self, attribute: Attribute, average: f64, texts: &Texts) -> Vec<Contribution> {
        let shares: Vec<&Share> = self.shares.iter().filter(|share| share.attribute == attribute).collect();
        let total: f64 = shares.iter().map(|share| f64::from(share.calls)).sum();
        let mut top: Vec<Contribution> = shares
            .into_iter()
            .map(|share| Contribution {
                value: texts.text(share.value).to_owned(),
                average: average * f64::from(share.calls) / total.max(1.0),
            })
            .collect();
        top.sort_by(|a, b| b.average.total_cmp(&a.average).then_with(|| a.value.cmp(&b.value)));
        top.truncate(TOLD);
        top
    }

    /// Its stored form; texts are spelled out.
    pub(crate) fn write(&self, texts: &Texts, out: &mut Vec<u8>) {
        out.push(self.shares.len() as u8);
        for share in &self.shares {
            let text = texts.text(share.value);
            out.push(share.attribute as u8);
            crate::method::put_varint(out, share.calls.into());
            crate::method::put_varint(out, text.len() as u64);
            out.extend(text.as_bytes());
        }
    }

    pub(crate) fn read(texts: &mut Texts, bytes: &mut Bytes<'_>) -> Result<Self, Malformed> {
        let mut shares = Vec::new();
        for _ in 0..bytes.u8()? {
            let attribute = *Attribute::ALL.get(usize::from(bytes.u8()?)).ok_or(Malformed)?;
            let calls = bytes.varint()?.try_into().map_err(|_| Malformed)?;
            let length = usize::try_from(bytes.varint()?).map_err(|_| Malformed)?;
            let text = str::from_utf8(bytes.take(length)?).map_err(|_| Malformed)?;
            shares.push(Share { attribute, value: texts.id(text), calls });
        }
        Ok(Self { shares })
    }
}

/// A value of an attribute and the calls per minute that had it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The value.
    pub value: String,
    /// Calls per minute.
    pub average: f64,
}

/// An attribute's values during an episode and in the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// The attribute.
    pub attribute: Attribute,
    /// The largest during the episode.
    pub insight: Vec<Contribution>,
    /// The largest in the baseline.
    pub baseline: Vec<Contribution>,
}

/// The ARN as Insights tell it: a role's without the session's name (`…:assumed-role/Role`).
/// (User Guide, "CloudTrail Insights record contents".)
pub(crate) fn without_session(arn: &str) -> &str {
    match arn.split_once(":assumed-role/") {
        Some((before, role)) => {
            let name = role.find('/').unwrap_or(role.len());
            &arn[..before.len() + ":assumed-role/".len() + name]
        }
        None => arn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_large_share_is_found_among_thousands() {
        let (mut texts, mut contributors) = (Texts::default(), Contributors::default());
        for n in 0..4000 {
            let value = if n % 4 == 0 { "arn:often".to_owned() } else { format!("arn:{n}") };
            let id = texts.id(&value);
            contributors.add(Attribute::UserIdentityArn, id, 1);
            contributors.add(Attribute::ErrorCode, texts.id("null"), 1);
        }
        let top = contributors.top(Attribute::UserIdentityArn, 40.0, &texts);
        assert_eq!((top.len(), &*top[0].value), (TOLD, "arn:often"));
        assert!(top[0].average >= 10.0 && top[0].average <= 15.0, "{top:?}");
        let codes = contributors.top(Attribute::ErrorCode, 40.0, &texts);
        assert_eq!(codes, [Contribution { value: "null".to_owned(), average: 40.0 }]);
        texts.sweep(contributors.values());
        assert_eq!(texts.len(), KEPT + 1);
    }

    #[test]
    fn roles_are_told_without_their_sessions() {
        let role = "arn:aws:sts::111122223333:assumed-role/R1";
        assert_eq!(without_session(&format!("{role}/session/x")), role);
        assert_eq!(without_session(role), role);
        assert_eq!(without_session("arn:aws:iam::111122223333:user/a/b"), "arn:aws:iam::111122223333:user/a/b");
    }

    #[test]
    fn stored_and_read_again_it_is_the_same() {
        let (mut texts, mut contributors) = (Texts::default(), Contributors::default());
        contributors.add(Attribute::UserAgent, texts.id("aws-cli/2"), 300);
        contributors.add(Attribute::ErrorCode, texts.id("null"), 2);
        let mut out = Vec::new();
        contributors.write(&texts, &mut out);
        let mut others = Texts::default();
        others.id("something else");
        let read = Contributors::read(&mut others, &mut Bytes(&out)).unwrap();
        assert_eq!(read.top(Attribute::UserAgent, 1.0, &others), contributors.top(Attribute::UserAgent, 1.0, &texts));
        assert!(Contributors::read(&mut others, &mut Bytes(&out[..out.len() - 1])).is_err());
    }
}
