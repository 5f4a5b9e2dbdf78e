use std::collections::BTreeMap;

/// What a ciphertext is bound to: pairs that must be given again to decrypt it, in any order.
/// (KMS Developer Guide, "Encryption context".)
pub type EncryptionContext = BTreeMap<String, String>;

/// The bytes that are authenticated with a ciphertext: `header`, then the pairs, each text with its length.
pub(crate) fn associated(header: &[u8], context: &EncryptionContext) -> Vec<u8> {
    let mut bytes = header.to_vec();
    for text in context.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_contexts_never_have_the_same_bytes() {
        let contexts: [&[(&str, &str)]; 5] =
            [&[], &[("a", "b")], &[("ab", "")], &[("", "ab")], &[("a", ""), ("b", "")]];
        let bytes: Vec<_> = contexts
            .iter()
            .map(|pairs| {
                let context = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
                associated(b"", &context)
            })
            .collect();
        for (i, one) in bytes.iter().enumerate() {
            assert!(bytes[i + 1..].iter().all(|other| other != one), "{:?}", contexts[i]);
        }
    }
}
