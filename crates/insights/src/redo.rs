//! A minute's counts in their stored form, from which keys are brought up to date after a restart.

use crate::attributions::Contributors;
use crate::fold::Fold;
use crate::keys::{Keys, Slot};
use crate::method::{Bytes, Malformed, Minute, put_varint};
use crate::texts::Texts;

/// Number, calls and contributors of each key with calls in the open minute.
pub(crate) fn write(keys: &Keys, texts: &Texts, active: &[Slot]) -> Vec<u8> {
    let mut out = Vec::with_capacity(active.len() * 8);
    let mut last = 0;
    for tracked in active.iter().filter_map(|slot| keys.get(*slot)) {
        put_varint(&mut out, tracked.id - last);
        put_varint(&mut out, tracked.count.into());
        tracked.current.write(texts, &mut out);
        last = tracked.id;
    }
    out
}

/// Folds a stored minute into the keys that do not know it yet; `slot_of` finds a key by its number. `ages` is how many minutes had
/// been observed with it, ever and of those remembered. Episodes are stored when they change, so that none begins or ends here.
pub(crate) fn apply(
    fold: &mut Fold,
    minute: Minute,
    ages: (u64, u32),
    stored: &[u8],
    slot_of: impl Fn(u64) -> Option<Slot>,
) -> Result<(), Malformed> {
    let mut bytes = Bytes(stored);
    let mut id = 0;
    while !bytes.is_empty() {
        id += bytes.varint()?;
        let count = bytes.varint()?.try_into().map_err(|_| Malformed)?;
        let current = Contributors::read(&mut fold.texts, &mut bytes)?;
        let Some(tracked) = slot_of(id).and_then(|slot| fold.keys.get_mut(slot)) else { continue };
        if tracked.series.latest() < minute {
            (tracked.count, tracked.current) = (count, current);
            let known = fold.accounts.known(tracked.key.account, &fold.observed, ages);
            tracked.close(minute, &known, None);
        }
    }
    Ok(())
}
