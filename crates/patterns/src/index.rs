//! What an event must have for a combination of conditions to hold: by that, hundreds of them are not looked at.
//!
//! Each combination is filed under one of its conditions, by the hashes of what a value could have that passes: a whole
//! text, a number, a beginning, an end, three bytes in the middle, the leading bits of an address. A value of an event is
//! looked up by all that it has of these, which depends on the value and on how many lengths of beginnings there are, not
//! on the number of combinations. Two things with the same hash cost an evaluation in vain and no more.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::address::{Block, Family, address};
use crate::fold::fold;
use crate::number::Number;
use crate::operators::{Test, Tests, Value};
use crate::paths::Slot;
use crate::wildcard::Wildcard;

/// The number of a combination.
pub(crate) type Id = u32;

/// Combinations by what they need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    hasher: DefaultHashBuilder,
    lists: HashMap<u64, Vec<Id>>,
    slots: Vec<Kinds>,
    /// Those that may hold whatever there is.
    always: Vec<Id>,
}

/// By what values at a path are looked up.
#[derive(Clone, Debug, Default)]
struct Kinds {
    /// Those that any value may match.
    any: Vec<Id>,
    /// Those that numbers may match, with their ranges, by the beginnings of these.
    ranges: Vec<(Number, Number, Id)>,
    wholes: bool,
    folded: bool,
    trigrams: Trigrams,
    /// Lengths, ascending.
    prefixes: Vec<usize>,
    suffixes: Vec<usize>,
    folded_prefixes: Vec<usize>,
    folded_suffixes: Vec<usize>,
    blocks: Vec<(Family, u32)>,
}

/// Something that a value may have. Its hash, with the path, is what is filed under.
#[derive(Clone, Copy, Debug, Hash)]
enum Feature<'v> {
    Whole(&'v [u8]),
    Prefix(&'v [u8]),
    Suffix(&'v [u8]),
    Trigram(&'v [u8]),
    Folded(&'v [u8]),
    FoldedPrefix(&'v [u8]),
    FoldedSuffix(&'v [u8]),
    Number(i64),
    /// A number as it is spelled.
    Spelling(&'v [u8]),
    Bool(bool),
    Null,
    Block(Family, u32, u128),
}

/// What a condition needs.
enum Need<'t> {
    /// One of these.
    Features(Vec<Feature<'t>>, Vec<(Number, Number)>),
    /// Any value.
    Value,
    /// Nothing.
    Nothing,
}

impl Index {
    /// Files a combination, given as the paths and tests of its conditions, under the condition that seems to hold most
    /// rarely: the one whose lists are the shortest so far, and of those the one with the longest path, as what is deep in
    /// the record tells events apart better than their source does.
    pub(crate) fn add<'t>(&mut self, number: Id, conditions: impl Iterator<Item = (Slot, usize, &'t Tests)>) {
        let best = conditions
            .map(|(slot, depth, tests)| (slot, depth, self.need(slot, tests)))
            .filter(|(_, _, need)| !matches!(need, Need::Nothing))
            .min_by_key(|(slot, depth, need)| (self.load(*slot, need), std::cmp::Reverse(*depth)));
        match best {
            None | Some((_, _, Need::Nothing)) => self.always.push(number),
            Some((slot, _, Need::Value)) => self.kinds(slot).any.push(number),
            Some((slot, _, Need::Features(features, ranges))) => {
                for feature in features {
                    let hash = self.hash(slot, feature);
                    let list = self.lists.entry(hash).or_default();
                    if list.last() != Some(&number) {
                        list.push(number);
                    }
                    self.kinds(slot).note(feature);
                }
                for (from, to) in ranges {
                    let ranges = &mut self.kinds(slot).ranges;
                    let at = ranges.partition_point(|(other, ..)| *other <= from);
                    ranges.insert(at, (from, to, number));
                }
            }
        }
    }

    /// Tells of the combinations that a value at a path may match. Some may be told more than once.
    pub(crate) fn candidates(&self, slot: Slot, value: Value<'_>, folded: &mut String, tell: &mut impl FnMut(Id)) {
        let Some(kinds) = self.slots.get(slot) else { return };
        kinds.any.iter().copied().for_each(&mut *tell);
        let mut ask = |feature: Feature<'_>| {
            if let Some(list) = self.lists.get(&self.hash(slot, feature)) {
                list.iter().copied().for_each(&mut *tell);
            }
        };
        match value {
            Value::Text(text) => kinds.ask_text(text, folded, &mut ask),
            Value::Number(text) => {
                ask(Feature::Spelling(text.as_bytes()));
                if let Some(value) = Number::parse(text) {
                    ask(Feature::Number(value.key()));
                    let begun = kinds.ranges.partition_point(|(from, ..)| *from <= value);
                    kinds.ranges[..begun].iter().filter(|(_, to, _)| value <= *to).for_each(|range| tell(range.2));
                }
            }
            Value::Bool(flag) => ask(Feature::Bool(flag)),
            Value::Null => ask(Feature::Null),
        }
    }

    /// Those that may hold whatever there is in the event.
    pub(crate) fn always(&self) -> &[Id] {
        &self.always
    }

    fn kinds(&mut self, slot: Slot) -> &mut Kinds {
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, Kinds::default);
        }
        &mut self.slots[slot]
    }

    fn hash(&self, slot: Slot, feature: Feature<'_>) -> u64 {
        self.hasher.hash_one((slot, feature))
    }

    fn list(&self, slot: Slot, feature: Feature<'_>) -> usize {
        self.lists.get(&self.hash(slot, feature)).map_or(0, Vec::len)
    }

    /// How often a combination would be looked at in vain, roughly: whether any value would do, how many combinations there
    /// are where it would be filed, and under how many things.
    fn load(&self, slot: Slot, need: &Need<'_>) -> (u8, usize, usize) {
        match need {
            Need::Features(features, ranges) => {
                let longest = features.iter().map(|feature| self.list(slot, *feature)).max().unwrap_or(0);
                (u8::from(!ranges.is_empty()), longest, features.len())
            }
            Need::Value => (2, self.slots.get(slot).map_or(0, |kinds| kinds.any.len()), 1),
            Need::Nothing => (3, 0, 0),
        }
    }

    /// What the tests of a condition need.
    fn need<'t>(&self, slot: Slot, tests: &'t Tests) -> Need<'t> {
        if tests.absent {
            return Need::Nothing;
        }
        let mut features: Vec<Feature<'t>> = tests.texts.iter().map(|text| Feature::Whole(text.as_bytes())).collect();
        let mut ranges = Vec::new();
        for test in &tests.others {
            let feature = match test {
                Test::Number(number, spelling) => {
                    features.extend(number.map(|number| Feature::Number(number.key())));
                    Feature::Spelling(spelling.as_bytes())
                }
                Test::Bool(flag) => Feature::Bool(*flag),
                Test::Null => Feature::Null,
                Test::Folded(text) => Feature::Folded(text.as_bytes()),
                Test::Prefix(text) if !text.is_empty() => Feature::Prefix(text.as_bytes()),
                Test::Suffix(text) if !text.is_empty() => Feature::Suffix(text.as_bytes()),
                Test::FoldedPrefix(text) if !text.is_empty() => Feature::FoldedPrefix(text.as_bytes()),
                Test::FoldedSuffix(text) if !text.is_empty() => Feature::FoldedSuffix(text.as_bytes()),
                Test::Wildcard(wildcard) => match self.rarest(slot, wildcard) {
                    Some(feature) => feature,
                    None => return Need::Value,
                },
                Test::Block(block) => Feature::Block(block.family, block.bits, block.start),
                Test::Range(from, to) => {
                    ranges.push((*from, *to));
                    continue;
                }
                Test::Exists
                | Test::AnythingBut(_)
                | Test::Prefix(_)
                | Test::Suffix(_)
                | Test::FoldedPrefix(_)
                | Test::FoldedSuffix(_) => return Need::Value,
            };
            features.push(feature);
        }
        Need::Features(features, ranges)
    }

    /// What fewest combinations are filed under, of what values have that match a wildcard.
    fn rarest<'t>(&self, slot: Slot, wildcard: &'t Wildcard) -> Option<Feature<'t>> {
        let (first, last) = (wildcard.first(), wildcard.last());
        let prefix = (!first.is_empty()).then_some(Feature::Prefix(first));
        let suffix = (!last.is_empty()).then_some(Feature::Suffix(last));
        let middle = wildcard.middle().flat_map(|part| part.windows(3)).map(Feature::Trigram);
        prefix.into_iter().chain(suffix).chain(middle).min_by_key(|feature| self.list(slot, *feature))
    }
}

impl Kinds {
    /// Something is filed under this.
    fn note(&mut self, feature: Feature<'_>) {
        let (lengths, length) = match feature {
            Feature::Whole(_) => return self.wholes = true,
            Feature::Folded(_) => return self.folded = true,
            Feature::Trigram(trigram) => return self.trigrams.note(trigram),
            Feature::Block(family, bits, _) => {
                if !self.blocks.contains(&(family, bits)) {
                    self.blocks.push((family, bits));
                }
                return;
            }
            Feature::Prefix(text) => (&mut self.prefixes, text.len()),
            Feature::Suffix(text) => (&mut self.suffixes, text.len()),
            Feature::FoldedPrefix(text) => (&mut self.folded_prefixes, text.len()),
            Feature::FoldedSuffix(text) => (&mut self.folded_suffixes, text.len()),
            Feature::Number(_) | Feature::Spelling(_) | Feature::Bool(_) | Feature::Null => return,
        };
        if let Err(at) = lengths.binary_search(&length) {
            lengths.insert(at, length);
        }
    }

    /// Asks for all that a text has.
    fn ask_text<'v>(&self, text: &'v str, folded: &'v mut String, ask: &mut impl FnMut(Feature<'_>)) {
        let bytes = text.as_bytes();
        if self.wholes {
            ask(Feature::Whole(bytes));
        }
        prefixes(&self.prefixes, bytes).for_each(|prefix| ask(Feature::Prefix(prefix)));
        suffixes(&self.suffixes, bytes).for_each(|suffix| ask(Feature::Suffix(suffix)));
        self.trigrams.of(bytes).for_each(|trigram| ask(Feature::Trigram(trigram)));
        if self.folded || !self.folded_prefixes.is_empty() || !self.folded_suffixes.is_empty() {
            folded.clear();
            folded.extend(text.chars().map(fold));
            let bytes = folded.as_bytes();
            ask(Feature::Folded(bytes));
            prefixes(&self.folded_prefixes, bytes).for_each(|prefix| ask(Feature::FoldedPrefix(prefix)));
            suffixes(&self.folded_suffixes, bytes).for_each(|suffix| ask(Feature::FoldedSuffix(suffix)));
        }
        if !self.blocks.is_empty()
            && let Some(address) = address(text)
        {
            let family = Block::single(address).family;
            for (_, bits) in self.blocks.iter().filter(|(of, _)| *of == family) {
                ask(Feature::Block(family, *bits, Block::around(address, *bits).start));
            }
        }
    }
}

/// Which three bytes something is filed under, roughly: a bit for each, which others may have too. Most of a value are
/// told to be none by that, before anything is hashed.
#[derive(Clone, Debug, Default)]
struct Trigrams(Option<Box<[u64; 256]>>);

impl Trigrams {
    fn note(&mut self, trigram: &[u8]) {
        let bit = Self::bit(trigram);
        self.0.get_or_insert_with(|| Box::new([0; 256]))[bit / 64] |= 1 << (bit % 64);
    }

    /// Those of a text that are perhaps noted.
    fn of<'v>(&self, text: &'v [u8]) -> impl Iterator<Item = &'v [u8]> {
        self.0.iter().flat_map(move |bits| {
            text.windows(3).filter(move |trigram| {
                let bit = Self::bit(trigram);
                bits[bit / 64] >> (bit % 64) & 1 == 1
            })
        })
    }

    /// One of 16384.
    fn bit(trigram: &[u8]) -> usize {
        let number = trigram.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        (number.wrapping_mul(0x9e37_79b1) >> 18) as usize
    }
}

fn prefixes<'v>(lengths: &[usize], text: &'v [u8]) -> impl Iterator<Item = &'v [u8]> {
    lengths.iter().map_while(move |length| text.get(..*length))
}

fn suffixes<'v>(lengths: &[usize], text: &'v [u8]) -> impl Iterator<Item = &'v [u8]> {
    lengths.iter().map_while(move |length| Some(&text[text.len().checked_sub(*length)?..]))
}
