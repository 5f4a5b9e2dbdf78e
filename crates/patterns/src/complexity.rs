//! How many places in the wildcards of a field one value may be at.
//!
//! EventBridge refuses what is too complex, "try using fewer wildcard characters or fewer repeating character sequences
//! after a wildcard character", and says neither how it counts nor where it ends. (User Guide, "Comparison operators for
//! use in event patterns", wildcard matching complexity.) Counted here are, over all beginnings of values, the wildcards
//! that a value may be within and the texts after a wildcard that it may be in the midst of; at most [`MAX`] at once. That
//! is a guess of ours, which agrees with the little that is known to be taken and refused by EventBridge: three of
//! `*:stack/name/*` are taken, four are not, nor is `*:*:*:*:*:event-bus/*`. Our own matching is linear, and would not need
//! a bound.

use hashbrown::HashSet;

use crate::wildcard::Token;

/// How many places a value may be at, at most.
pub(crate) const MAX: usize = 10;

/// How many sets of places are looked at. Wildcards that have not shown themselves to be too complex by then are taken.
const MAX_SETS: usize = 4096;

/// A place in one of the texts: how many tokens lie behind, and whether the value may stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    text: u16,
    token: u16,
    stays: bool,
}

/// Whether values may be at more places in these texts than they may.
pub(crate) fn is_too_complex(texts: &[Vec<Token>]) -> bool {
    let mut bytes: Vec<Option<u8>> = texts.iter().flatten().map(|token| token_byte(*token)).collect();
    // No byte stands for all that occur nowhere.
    bytes.push(None);
    bytes.sort_unstable();
    bytes.dedup();
    let firsts: Vec<usize> =
        texts.iter().map(|text| text.iter().position(|token| *token == Token::Any).unwrap_or(text.len())).collect();
    let start: Vec<Place> = (0..texts.len()).map(|text| Place { text: text as u16, token: 0, stays: false }).collect();
    let (mut seen, mut ahead) = (HashSet::<Vec<Place>>::from_iter([start.clone()]), vec![start]);
    while let Some(places) = ahead.pop() {
        for byte in &bytes {
            let next = step(texts, &places, *byte);
            // Before its first wildcard a value is at one place in each text, as everywhere.
            let counts = |place: &&Place| place.stays || firsts[place.text as usize] < place.token as usize;
            let counted = next.iter().filter(counts).count();
            if counted > MAX {
                return true;
            }
            if !next.is_empty() && seen.len() < MAX_SETS && seen.insert(next.clone()) {
                ahead.push(next);
            }
        }
    }
    false
}

/// Where a value is, after one more byte.
fn step(texts: &[Vec<Token>], places: &[Place], byte: Option<u8>) -> Vec<Place> {
    let mut next = Vec::new();
    for place in places {
        let text = &texts[place.text as usize];
        let mut at = place.token as usize;
        if text.get(at) == Some(&Token::Any) {
            next.push(Place { stays: true, ..*place });
            at += 1;
        }
        if let Some(Token::Byte(wanted)) = text.get(at)
            && Some(*wanted) == byte
        {
            next.push(Place { text: place.text, token: at as u16 + 1, stays: false });
        }
    }
    next.sort_unstable();
    next.dedup();
    next
}

fn token_byte(token: Token) -> Option<u8> {
    match token {
        Token::Byte(byte) => Some(byte),
        Token::Any => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wildcard::tokens;

    fn too_complex(texts: &[&str]) -> bool {
        is_too_complex(&texts.iter().map(|text| tokens(text).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_known_to_be_refused_is() {
        assert!(too_complex(&["*:*:*:*:*:event-bus/*"]));
        let stacks = ["*:stack/Compute/*", "*:stack/Network/*", "*:stack/Shared/*", "*:stack/Monitoring/*"];
        assert!(too_complex(&stacks));
        assert!(!too_complex(&stacks[..3]));
    }

    #[test]
    fn common_wildcards_are_taken() {
        for texts in [
            &["*"][..],
            &["dir/*.png"],
            &["arn:aws:events:us-east-1:*:event-bus/*"],
            &["arn:aws:iam::*:role/*-admin-*"],
            &["*admin*"],
            &["*AssumeRole*", "*GetSessionToken*", "*Login*"],
            &["a*", "b*", "c*", "d*", "e*", "f*", "g*", "h*", "i*", "j*", "k*", "l*", "m*", "n*"],
            &[],
        ] {
            assert!(!too_complex(texts), "{texts:?}");
        }
    }

    #[test]
    fn repetition_after_a_wildcard_is_complex() {
        assert!(too_complex(&["*aaaaaaaaaaaa"]));
        assert!(too_complex(&["*a*a*a*a*a*a"]));
        assert!(!too_complex(&["aaaaaaaaaaaa*"]));
        assert!(too_complex(&[&"*a".repeat(2_000)]));
    }
}
