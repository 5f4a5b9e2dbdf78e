use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Who publishes. `Debug` does not tell.
#[derive(Clone, Default)]
pub struct Credentials(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    Nobody,
    User {
        name: String,
        password: Zeroizing<String>,
    },
    Token(Zeroizing<String>),
    /// An NKEY, with the JWT that speaks for it if there is one.
    Key {
        jwt: Option<Zeroizing<String>>,
        seed: Zeroizing<[u8; 32]>,
    },
}

/// The text holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCredentials(&'static str);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// Reads a file's text: what `nsc` writes (a JWT and the seed of its key), the seed of an NKEY alone, `user:password`,
    /// or a token.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, InvalidCredentials> {
        if let Some(jwt) = block(text, "NATS USER JWT") {
            let seed =
                block(text, "USER NKEY SEED").ok_or(InvalidCredentials("there is a JWT and no seed of a key"))?;
            return Ok(Self(Kind::Key { jwt: Some(Zeroizing::new(jwt.to_owned())), seed: seed_of(seed)? }));
        }
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(InvalidCredentials("there is no JWT, no seed, no user:password and no token"));
        }
        if text.starts_with("SU") && text.len() == 58 {
            return Ok(Self(Kind::Key { jwt: None, seed: seed_of(text)? }));
        }
        Ok(Self(match text.split_once(':') {
            Some((name, password)) => {
                Kind::User { name: name.to_owned(), password: Zeroizing::new(password.to_owned()) }
            }
            None => Kind::Token(Zeroizing::new(text.to_owned())),
        }))
    }

    /// What `CONNECT` says of them; `nonce` is what the server has asked to be signed.
    pub(crate) fn connect(&self, nonce: &str) -> Result<Value, InvalidCredentials> {
        Ok(match &self.0 {
            Kind::Nobody => json!({}),
            Kind::User { name, password } => json!({ "user": name, "pass": password.as_str() }),
            Kind::Token(token) => json!({ "auth_token": token.as_str() }),
            Kind::Key { jwt, seed } => {
                let pair = pair(seed)?;
                let signature = URL_SAFE_NO_PAD.encode(pair.sign(nonce.as_bytes()).as_ref());
                match jwt {
                    Some(jwt) => json!({ "jwt": jwt.as_str(), "sig": signature }),
                    None => json!({ "nkey": public(&pair), "sig": signature }),
                }
            }
        })
    }
}

/// What stands between the lines that begin and end `name`.
fn block<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("BEGIN {name}"))?;
    rest.lines().skip(1).map(str::trim).find(|line| !line.is_empty())
}

fn pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, InvalidCredentials> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| InvalidCredentials("the seed makes no key"))
}

/// An NKEY's prefix of seeds (`S`), of users (`U`). (nats-io/nkeys, "NKeys Encoding".)
const SEED: u8 = 18 << 3;
const USER: u8 = 20 << 3;

/// Reads `SU…`: two bytes that say what it is, 32 of the seed, 2 of a checksum.
fn seed_of(text: &str) -> Result<Zeroizing<[u8; 32]>, InvalidCredentials> {
    const INVALID: InvalidCredentials =
        InvalidCredentials("the seed of a user's key begins with SU and has 58 characters");
    let bytes = Zeroizing::new(from_base32(text).ok_or(INVALID)?);
    let (said, check) = bytes.split_last_chunk::<2>().ok_or(INVALID)?;
    let [first, second, seed @ ..] = said else { return Err(INVALID) };
    let is_user = first & 0xF8 == SEED && (first & 7) << 5 | (second & 0xF8) >> 3 == USER;
    if !is_user || u16::from_le_bytes(*check) != crc16(said) {
        return Err(INVALID);
    }
    Ok(Zeroizing::new(seed.try_into().map_err(|_| INVALID)?))
}

/// `U…`: the public key with its prefix and checksum.
fn public(pair: &Ed25519KeyPair) -> String {
    let mut bytes = vec![USER];
    bytes.extend_from_slice(pair.public_key().as_ref());
    bytes.extend(crc16(&bytes).to_le_bytes());
    to_base32(&bytes)
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// RFC 4648, section 6, without padding.
fn to_base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let letter = |at: usize| (0..5).fold(0, |value, more| value << 1 | usize::from(bit(at * 5 + more)));
    (0..(bytes.len() * 8).div_ceil(5)).map(|at| char::from(ALPHABET[letter(at)])).collect()
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        held = held << 5 | ALPHABET.iter().position(|known| *known == letter)? as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    /// The pair of the NATS documentation, "NKeys".
    const SEED_TEXT: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

    #[test]
    fn a_seed_signs_as_its_public_key() {
        let said = Credentials::parse(&format!("{SEED_TEXT}\n")).unwrap().connect("nonce").unwrap();
        assert_eq!(said["nkey"], PUBLIC);
        let signature = URL_SAFE_NO_PAD.decode(said["sig"].as_str().unwrap()).unwrap();
        let public = from_base32(PUBLIC).unwrap();
        UnparsedPublicKey::new(&ED25519, &public[1..33]).verify(b"nonce", &signature).unwrap();
    }

    #[test]
    fn files_hold_one_of_four_things() {
        let said = |text: &str| Credentials::parse(text).unwrap().connect("n").unwrap();
        assert_eq!(said("alice:a:b\n"), json!({ "user": "alice", "pass": "a:b" }));
        assert_eq!(said("s3cret"), json!({ "auth_token": "s3cret" }));
        let file = format!(
            "-----BEGIN NATS USER JWT-----\ney.J.wt\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n\
             -----BEGIN USER NKEY SEED-----\n{SEED_TEXT}\n------END USER NKEY SEED------\n"
        );
        let said = said(&file);
        assert_eq!(said["jwt"], "ey.J.wt");
        assert!(said["sig"].is_string() && said["nkey"].is_null());
        let torn = SEED_TEXT.replace("CU3VY", "CU3VA");
        for bad in ["", "two words", &torn, "-----BEGIN NATS USER JWT-----\ney\n"] {
            assert!(Credentials::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", Credentials::parse("alice:s3cret").unwrap()), "Credentials(…)");
    }
}
