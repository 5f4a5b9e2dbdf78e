//! Words as the search compares them: without endings, and one word for those that mean the same here.

/// Words that say nothing about what is looked for.
const STOP: &[&str] = &[
    "a",
    "about",
    "all",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "by",
    "can",
    "cloudtrail",
    "did",
    "do",
    "does",
    "each",
    "event",
    "every",
    "find",
    "for",
    "from",
    "get",
    "give",
    "had",
    "has",
    "have",
    "how",
    "i",
    "in",
    "into",
    "is",
    "it",
    "its",
    "last",
    "list",
    "me",
    "my",
    "of",
    "on",
    "or",
    "over",
    "please",
    "query",
    "show",
    "some",
    "that",
    "the",
    "their",
    "them",
    "there",
    "these",
    "they",
    "this",
    "those",
    "to",
    "us",
    "use",
    "want",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "with",
];

/// Stems that mean what the stem before them does.
const SAME: &[(&str, &[&str])] = &[
    ("signin", &["login", "logon", "logg"]),
    ("delet", &["remov", "destroy", "terminat", "drop", "eras", "wip"]),
    ("creat", &["mak", "mad", "add", "new", "launch"]),
    ("chang", &["modif", "updat", "edit", "alter"]),
    ("user", &["person", "peopl", "who", "identit", "principal", "someon", "anybod", "anyon"]),
    ("den", &["unauthoriz", "forbidden", "refus", "reject", "denial"]),
    ("error", &["fail", "failur", "exception", "broken"]),
    ("public", &["expos", "internet", "open", "everybod"]),
    ("cost", &["spend", "bill", "money", "pric", "expens"]),
    ("count", &["number", "man", "volum", "total"]),
    ("top", &["most", "frequent", "busi", "highest", "noisi"]),
    ("unus", &["idl", "stal"]),
    ("polic", &["permiss", "privileg", "right"]),
    ("bucket", &["s3"]),
    ("object", &["file"]),
    ("encrypt", &["kms", "cmk"]),
    ("instanc", &["ec2", "machin", "server", "vm"]),
    ("role", &["assumerol"]),
    ("key", &["credential"]),
    ("ip", &["address", "sourceip"]),
    ("secret", &["password"]),
    ("account", &["accountid"]),
    ("mfa", &["multifactor", "2fa", "factor"]),
    ("logging", &["audit", "trail", "log"]),
    ("region", &["locat"]),
    ("network", &["vpc", "firewall"]),
    ("root", &["superus"]),
    ("suspici", &["unusual", "anomal", "attack", "compromis", "incid", "threat"]),
];

/// The words of a text that say something, stemmed; a name in camel case counts as its words.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for letter in text.chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            spaced.push(' ');
        }
        spaced.push(letter);
        before = letter;
    }
    let lower =
        spaced.to_lowercase().replace("sign in", "signin").replace("sign-in", "signin").replace("log in", "login");
    let lower = lower.replace("multi-factor", "multifactor").replace("multi factor", "multifactor");
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() > 1 || *word == "i");
    words.filter(|word| !STOP.contains(word)).map(stem).filter(|stem| !STOP.contains(&stem.as_str())).collect()
}

/// A word without its ending.
fn stem(word: &str) -> String {
    // Plurals first, then what verbs and nouns end with, as long as enough is left.
    let mut stem = word;
    if stem.len() > 3 && stem.ends_with('s') && !stem.ends_with("ss") && !stem.ends_with("us") && !stem.ends_with("is")
    {
        stem = &stem[..stem.len() - 1];
    }
    for ending in ["ation", "ition", "ment", "ing", "ion", "ies", "ied", "ed", "er", "ly", "es", "ie", "y", "e"] {
        if let Some(rest) = stem.strip_suffix(ending)
            && rest.len() >= if ending == "ation" { 4 } else { 3 }
            && stem.is_ascii()
        {
            // `log` and its like keep what tells them apart.
            if stem == "user" || stem == "logging" {
                break;
            }
            stem = rest;
            break;
        }
    }
    let mut stem = stem.to_owned();
    let bytes = stem.as_bytes();
    if let [.., a, b] = bytes
        && a == b
        && bytes.len() > 3
        && !matches!(b, b'l' | b's' | b'g')
    {
        stem.pop();
    }
    let same = SAME.iter().find(|(_, others)| others.contains(&stem.as_str()));
    same.map_or(stem, |(first, _)| (*first).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one() {
        for group in [
            &["deleted", "deletes", "deleting", "delete", "deletion", "removed", "terminated"][..],
            &["user", "users", "person", "identities"],
            &["policy", "policies", "permissions"],
            &["created", "creation", "creating", "added"],
            &["changes", "changed", "modified", "updates"],
            &["denied", "unauthorized"],
            &["sign-in", "sign ins", "logins"],
            &["encryption", "encrypted", "KMS"],
        ] {
            let stems: Vec<_> = group.iter().map(|word| words(word)).collect();
            assert!(stems.iter().all(|stem| *stem == stems[0] && stem.len() == 1), "{group:?}: {stems:?}");
        }
    }

    #[test]
    fn words_that_say_nothing_are_left_out_and_names_are_their_words() {
        assert_eq!(words("Show me all of the events"), Vec::<String>::new());
        assert_eq!(words("DeleteBucket"), words("delete buckets"));
    }
}
