//! How large a YAML document is, found out without building it: a few hundred bytes of aliases can stand for gigabytes.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::Reason;

/// Of one document.
pub(crate) const MOST_BYTES: usize = 256 << 10;
/// Scalars, lists and mappings of one document, aliases followed.
const MOST_NODES: usize = 20_000;
/// Lists and mappings within one another.
const MOST_DEPTH: usize = 24;
/// Of one scalar.
const MOST_SCALAR_BYTES: usize = 16 << 10;

/// Checks that the documents of `text` are of a size that a rule may have.
pub(crate) fn check(text: &str) -> Result<(), Reason> {
    if text.len() > MOST_BYTES {
        return Err(Reason::TooLarge { what: "its text in bytes", most: MOST_BYTES });
    }
    let census = Census::default();
    for document in yaml_serde::Deserializer::from_str(text) {
        if let Err(error) = (Node { census: &census, depth: 0 }).deserialize(document) {
            return Err(census.excess.take().unwrap_or_else(|| Reason::Yaml(error.to_string())));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Census {
    nodes: Cell<usize>,
    excess: Cell<Option<Reason>>,
}

#[derive(Clone, Copy)]
struct Node<'c> {
    census: &'c Census,
    depth: usize,
}

impl Node<'_> {
    fn refuse<E: Error>(self, what: &'static str, most: usize) -> E {
        self.census.excess.set(Some(Reason::TooLarge { what, most }));
        E::custom(what)
    }

    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MOST_DEPTH {
            return Err(self.refuse("the depth of its YAML", MOST_DEPTH));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let nodes = self.census.nodes.get() + 1;
        self.census.nodes.set(nodes);
        if nodes > MOST_NODES {
            return Err(self.refuse("the number of its values", MOST_NODES));
        }
        deserializer.deserialize_any(self)
    }
}

macro_rules! small {
    ($($name:ident: $type:ty),*) => {
        $(fn $name<E: Error>(self, _: $type) -> Result<(), E> {
            Ok(())
        })*
    };
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    small!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64);

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if text.len() > MOST_SCALAR_BYTES {
            return Err(self.refuse("a text of it in bytes", MOST_SCALAR_BYTES));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while list.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while mapping.next_key_seed(inner)?.is_some() {
            mapping.next_value_seed(inner)?;
        }
        Ok(())
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("a tag (!…) has no meaning in a rule"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_passes() {
        assert_eq!(check("title: x\ntags: [a, b]\ndetection:\n  s: {a: 1, b: null, c: 1.5}\n"), Ok(()));
    }

    #[test]
    fn aliases_that_multiply_are_refused_before_anything_is_built() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let below = level - 1;
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{below}"); 10].join(", ")));
        }
        let refused = check(&text).unwrap_err();
        assert!(matches!(refused, Reason::TooLarge { .. } | Reason::Yaml(_)), "{refused}");
    }

    #[test]
    fn depth_is_refused() {
        let text = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
        assert!(matches!(check(&text), Err(Reason::TooLarge { what: "the depth of its YAML", .. })));
        let text = format!("a: {}", "[".repeat(100_000));
        assert!(check(&text).is_err());
    }

    #[test]
    fn a_tag_is_refused() {
        assert!(matches!(check("a: !x {b: 1}"), Err(Reason::Yaml(_))));
    }

    #[test]
    fn an_alias_of_itself_is_refused() {
        assert!(check("a: &a [*a]").is_err());
    }
}
