//! Names of the service model in Rust's spelling, and literals.

/// `TrailARN` → `trail_arn`, `S3BucketName` → `s3_bucket_name`; a Rust keyword gets its `r#`.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let starts_word = c.is_ascii_uppercase()
            && i > 0
            && (chars[i - 1].is_ascii_lowercase()
                || chars[i - 1].is_ascii_digit()
                || (chars[i - 1].is_ascii_uppercase() && chars.get(i + 1).is_some_and(char::is_ascii_lowercase)));
        if starts_word {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    match out.as_str() {
        "type" | "match" | "move" | "ref" | "use" | "where" => format!("r#{out}"),
        _ => out,
    }
}

/// `TrailARN` → `TRAIL_ARN`.
pub(crate) fn screaming(name: &str) -> String {
    snake(name).trim_start_matches("r#").to_ascii_uppercase()
}

/// A Rust string literal.
pub(crate) fn literal(text: &str) -> String {
    format!("{text:?}")
}

/// A Rust slice of string literals.
pub(crate) fn slice<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = texts.into_iter().map(literal).collect();
    format!("&[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_words_and_abbreviations() {
        assert_eq!(snake("TrailARN"), "trail_arn");
        assert_eq!(snake("S3BucketName"), "s3_bucket_name");
        assert_eq!(snake("LatestCloudWatchLogsDeliveryTime"), "latest_cloud_watch_logs_delivery_time");
        assert_eq!(snake("SQL"), "sql");
        assert_eq!(snake("Type"), "r#type");
        assert_eq!(screaming("UUID"), "UUID");
    }
}
