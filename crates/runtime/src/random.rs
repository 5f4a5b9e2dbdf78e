use std::fmt;

use parking_lot::Mutex;
use rand::{RngCore, SeedableRng};
use uuid::Uuid;

/// Where chance comes from.
pub trait Random: fmt::Debug + Send + Sync + 'static {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);

    /// A random UUID (version 4), as `eventID` and `requestID` are.
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// `length` random characters out of `alphabet` (ASCII, at most 256 characters).
    fn text(&self, alphabet: &[u8], length: usize) -> String {
        // Bytes past the last whole multiple of the alphabet are thrown away, so that no character is likelier.
        let limit = 256 - 256 % alphabet.len();
        let mut text = String::with_capacity(length);
        let mut bytes = [0; 64];
        while text.len() < length {
            self.fill(&mut bytes);
            let fair = bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < limit);
            text.extend(fair.map(|b| char::from(alphabet[b % alphabet.len()])).take(length - text.len()));
        }
        text
    }
}

/// The operating system's entropy, through a cryptographic generator. Fit for keys and secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the system's random generator does not fail once seeded");
    }
}

/// Repeatable chance, for tests and simulation. Never for secrets.
#[derive(Debug)]
pub struct SeededRandom(Mutex<rand::rngs::StdRng>);

impl SeededRandom {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(rand::rngs::StdRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().fill_bytes(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_sequence() {
        let (a, b) = (SeededRandom::new(7), SeededRandom::new(7));
        assert_eq!(a.uuid(), b.uuid());
        assert_eq!(a.text(b"ABC", 40), b.text(b"ABC", 40));
        assert_eq!(a.text(b"ABC", 40).len(), 40);
    }
}
