use std::collections::HashMap;

use opentrail_insights::{MOST_KEYS, Sensitivity};
use opentrail_model::AccountId;

use super::reader::Reader;

/// `[insights]`: how readily Insights tells, where trails and event data stores have it switched on.
#[derive(Clone, Debug)]
pub(crate) struct InsightsSection {
    /// `insights.sensitivity`: low, medium or high. Default medium.
    pub(crate) sensitivity: Sensitivity,
    /// `insights.low`, `insights.medium`, `insights.high`: the accounts with another one.
    pub(crate) accounts: HashMap<AccountId, Sensitivity>,
    /// `insights.most_keys`: how many operations and errors are watched, of all accounts and Regions together; some 2.5 KB of memory
    /// each. Default 120,000.
    pub(crate) most_keys: usize,
}

impl InsightsSection {
    pub(crate) fn read(root: &mut Reader<'_>) -> Self {
        let mut section = root.section("insights");
        let sensitivity = section.parsed("sensitivity", "low, medium or high").unwrap_or_default();
        let mut accounts = HashMap::new();
        for (name, sensitivity) in
            [("low", Sensitivity::Low), ("medium", Sensitivity::Medium), ("high", Sensitivity::High)]
        {
            for text in section.texts(name) {
                match text.parse::<AccountId>() {
                    Ok(account) if accounts.insert(account, sensitivity).is_some() => {
                        section.complain(name, format!("{account} is in two lists"));
                    }
                    Ok(_) => {}
                    Err(error) => section.complain(name, error.to_string()),
                }
            }
        }
        let most_keys = section.number("most_keys", MOST_KEYS as u64, 1_000);
        section.finish();
        Self { sensitivity, accounts, most_keys: usize::try_from(most_keys).unwrap_or(MOST_KEYS) }
    }
}
