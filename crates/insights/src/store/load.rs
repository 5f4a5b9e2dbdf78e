//! From the file to the fold.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};
use crate::fold::Fold;
use crate::key::{Category, Key};
use crate::keys::Slot;
use crate::method::{Bytes, Minute, Observed};
use crate::redo;
use crate::tracked::Tracked;

impl Store {
    /// The fold as of the last committed minute; an empty one when nothing is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn load(&self, most_keys: usize) -> Result<Fold, StoreError> {
        let mut fold = Fold::new(most_keys);
        let Some(meta) = sqlx::query("SELECT * FROM meta").fetch_optional(&self.pool).await? else { return Ok(fold) };
        fold.open = Some(Minute(meta.try_get("open")?));
        fold.offset = meta.try_get("clock_offset")?;
        fold.last_event = Minute(meta.try_get("last_event")?);
        fold.next_id = meta.try_get::<i64, _>("next_id")?.cast_unsigned();
        let observed: Vec<u8> = meta.try_get("observed")?;
        fold.observed = Observed::read(&mut Bytes(&observed)).map_err(StoreError::malformed("observed minutes"))?;
        self.load_accounts(&mut fold).await?;
        let slots = self.load_keys(&mut fold).await?;
        for row in sqlx::query("SELECT * FROM redo ORDER BY minute").fetch_all(&self.pool).await? {
            let (minute, total) = (Minute(row.try_get("minute")?), row.try_get::<i64, _>("total")?.cast_unsigned());
            let counts: Vec<u8> = row.try_get("counts")?;
            let ages = (total, row.try_get("recent")?);
            redo::apply(&mut fold, minute, ages, &counts, |id| slots.get(&id).copied())
                .map_err(StoreError::malformed("a minute's counts"))?;
        }
        Ok(fold)
    }

    async fn load_accounts(&self, fold: &mut Fold) -> Result<(), StoreError> {
        for row in sqlx::query("SELECT * FROM account").fetch_all(&self.pool).await? {
            let account: String = row.try_get("account")?;
            let account = account.parse().map_err(|_| StoreError::Malformed { what: "an account" })?;
            let (since, before) = (Minute(row.try_get("since")?), row.try_get::<i64, _>("before")?.cast_unsigned());
            fold.accounts.0.insert(account, crate::accounts::Account { since, before, keys: 0 });
        }
        Ok(())
    }

    async fn load_keys(&self, fold: &mut Fold) -> Result<HashMap<u64, Slot>, StoreError> {
        const PAGE: i64 = 10_000;
        let mut slots = HashMap::new();
        let mut after = 0_i64;
        loop {
            let query = "SELECT key.*, state FROM key LEFT JOIN key_state USING (id) WHERE id > ? ORDER BY id LIMIT ?";
            let rows = sqlx::query(query).bind(after).bind(PAGE).fetch_all(&self.pool).await?;
            let Some(last) = rows.last() else { return Ok(slots) };
            after = last.try_get("id")?;
            for row in &rows {
                let (id, key) = (row.try_get::<i64, _>("id")?.cast_unsigned(), key(row)?);
                let state: Option<Vec<u8>> = row.try_get("state")?;
                let tracked = match state {
                    Some(state) => Tracked::read(id, key, &mut fold.texts, &mut Bytes(&state))
                        .map_err(StoreError::malformed("a key's state"))?,
                    None => Tracked::new(id, key, Minute(row.try_get("since")?)),
                };
                slots.insert(id, fold.restore(tracked));
            }
        }
    }
}

fn key(row: &SqliteRow) -> Result<Key, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let error_code: Option<String> = row.try_get("error_code")?;
    Ok(Key {
        account: text("account")?.parse().map_err(|_| StoreError::Malformed { what: "an account" })?,
        region: text("region")?.into(),
        event_source: text("event_source")?.into(),
        event_name: text("event_name")?.into(),
        category: match &*text("category")? {
            "Management" => Category::Management,
            "Data" => Category::Data,
            _ => return Err(StoreError::Malformed { what: "a category" }),
        },
        error_code: error_code.map(Into::into),
    })
}
