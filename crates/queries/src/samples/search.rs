use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::stem::words;
use super::{SAMPLES, Sample};

/// What a word counts by where it stands.
const IN_NAME: f64 = 3.0;
const IN_DESCRIPTION: f64 = 1.0;
const IN_SQL: f64 = 0.25;
/// Less than that is a word in common by chance.
const LEAST: f64 = 0.05;

/// Samples by the weights of their words: each a vector of length 1. Maps are sorted, so that sums come out the same.
struct Weighed {
    rarity: BTreeMap<String, f64>,
    vectors: Vec<BTreeMap<String, f64>>,
}

static WEIGHED: LazyLock<Weighed> = LazyLock::new(|| {
    let counted: Vec<BTreeMap<String, f64>> = SAMPLES.iter().map(count).collect();
    let mut samples_with: BTreeMap<String, usize> = BTreeMap::new();
    for word in counted.iter().flat_map(BTreeMap::keys) {
        *samples_with.entry(word.clone()).or_default() += 1;
    }
    let all = SAMPLES.len() as f64;
    let rarity: BTreeMap<String, f64> =
        samples_with.into_iter().map(|(word, with)| (word, (1.0 + all / with as f64).ln())).collect();
    let vectors = counted.into_iter().map(|counts| weigh(counts, &rarity)).collect();
    Weighed { rarity, vectors }
});

fn count(sample: &Sample) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    let parts = [(&sample.name, IN_NAME), (&sample.description, IN_DESCRIPTION), (&sample.sql, IN_SQL)];
    for (text, weight) in parts {
        for word in words(text) {
            let count: &mut f64 = counts.entry(word).or_default();
            *count = count.max(weight);
        }
    }
    counts
}

/// Counts times rarity, brought to length 1. Words that no sample has make a phrase longer and nothing else.
fn weigh(counts: BTreeMap<String, f64>, rarity: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let unknown = rarity.values().fold(0.0, |most: f64, one| most.max(*one));
    let weighed: BTreeMap<String, f64> = counts
        .into_iter()
        .map(|(word, count)| {
            let rarity = rarity.get(&word).copied().unwrap_or(unknown);
            (word, count * rarity)
        })
        .collect();
    let length = weighed.values().map(|weight| weight * weight).sum::<f64>().sqrt();
    weighed.into_iter().map(|(word, weight)| (word, weight / length)).collect()
}

/// The samples that have to do with a phrase, and how much, from 0 to 1; the best first.
///
/// It is the cosine between the words of both, each weighed by how rare it is among the samples.
pub fn search(phrase: &str) -> Vec<(&'static Sample, f64)> {
    let weighed = &*WEIGHED;
    let asked = weigh(words(phrase).into_iter().map(|word| (word, 1.0)).collect(), &weighed.rarity);
    let relevance = |vector: &BTreeMap<String, f64>| -> f64 {
        asked.iter().map(|(word, weight)| weight * vector.get(word).copied().unwrap_or_default()).sum()
    };
    let mut found: Vec<(&Sample, f64)> = SAMPLES
        .iter()
        .zip(&weighed.vectors)
        .map(|(sample, vector)| (sample, relevance(vector).clamp(0.0, 1.0)))
        .collect();
    found.retain(|(_, relevance)| *relevance >= LEAST);
    found.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.name.cmp(&b.name)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_find_what_they_mean() {
        for (phrase, name) in [
            ("Who deleted my S3 bucket?", "Deleted S3 buckets"),
            ("console logins without MFA", "Console sign-ins without MFA"),
            ("what did the root user do", "Activity of the root user"),
            ("failed console logins", "Failed console sign-ins"),
            ("access denied errors by user", "Denied calls by user"),
            ("which security groups were opened to the internet", "Security groups opened to the internet"),
            ("has anybody stopped logging", "Audit logging turned off or changed"),
            ("access key activity", "Activity of one access key"),
            ("KMS keys scheduled for deletion", "KMS keys disabled or scheduled for deletion"),
            ("old TLS versions", "Calls over outdated TLS versions"),
            ("most expensive API calls", "Most frequent calls"),
            ("investigate user actions", "Investigate user actions"),
            ("who made console changes", "Investigate who made console changes"),
            ("events per day", "Events per day"),
            ("roles that a user assumed", "Roles assumed and by whom"),
        ] {
            let found = search(phrase);
            let names: Vec<_> = found.iter().take(3).map(|(sample, _)| sample.name.as_str()).collect();
            assert!(names.contains(&name), "{phrase}: {names:?}");
        }
    }

    #[test]
    fn relevance_is_between_0_and_1_and_falls() {
        let found = search("delete");
        assert!(found.len() > 3);
        assert!(found.iter().all(|(_, relevance)| (0.0..=1.0).contains(relevance)));
        assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        for sample in SAMPLES.iter() {
            let found = search(&sample.name);
            assert!(found.iter().take(2).any(|(found, _)| found.name == sample.name), "{}", sample.name);
        }
    }

    #[test]
    fn nothing_is_found_for_nothing() {
        assert!(search("the of and").is_empty());
        assert!(search("xyzzy plugh").is_empty());
    }
}
