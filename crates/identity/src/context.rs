use std::collections::HashMap;

/// The condition keys of a request, e.g. `aws:SourceIp`, and their values.
///
/// Keys compare without regard to case, as IAM's do; a key may have several values (`aws:TagKeys`). What follows from
/// the caller (`aws:PrincipalArn`, `aws:username`, …) need not be put in: [`Directory::authorize`] knows it, and does
/// not believe it from here.
///
/// [`Directory::authorize`]: crate::Directory::authorize
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(HashMap<String, Vec<String>>);

impl Context {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to one value; what it had is gone.
    pub fn insert(&mut self, key: &str, value: impl Into<String>) {
        self.insert_all(key, [value]);
    }

    /// Sets `key` to several values; none makes the key present but empty.
    pub fn insert_all<V: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = V>) {
        self.0.insert(key.to_ascii_lowercase(), values.into_iter().map(Into::into).collect());
    }

    /// The context with `key` set to one value.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.insert(key, value);
        self
    }

    /// The values of `key`; `None` when the request has no such key.
    pub fn values(&self, key: &str) -> Option<&[String]> {
        // Keys come out of parsed policies in lower case already, so this seldom allocates.
        if key.bytes().any(|b| b.is_ascii_uppercase()) {
            return self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice);
        }
        self.0.get(key).map(Vec::as_slice)
    }
}

/// What a policy is judged against: keys that follow from the caller, and those of the request.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    caller: &'a Context,
    request: &'a Context,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(caller: &'a Context, request: &'a Context) -> Self {
        Self { caller, request }
    }

    /// The values of `key`, in lower case. Keys about the caller come from the caller alone, so that no request can
    /// claim a user name or a principal's tag.
    pub(crate) fn values(&self, key: &str) -> Option<&'a [String]> {
        if is_about_caller(key) { self.caller.values(key) } else { self.request.values(key) }
    }

    /// The value of a key that has exactly one.
    pub(crate) fn single(&self, key: &str) -> Option<&'a str> {
        match self.values(key)? {
            [one] => Some(one),
            _ => None,
        }
    }
}

fn is_about_caller(key: &str) -> bool {
    key.strip_prefix("aws:").is_some_and(|name| {
        name.starts_with("principal")
            || matches!(
                name,
                "userid"
                    | "username"
                    | "sourceidentity"
                    | "tokenissuetime"
                    | "multifactorauthpresent"
                    | "multifactorauthage"
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_no_case() {
        let context = Context::new().with("AWS:SourceIP", "192.0.2.1");
        assert_eq!(context.values("aws:SourceIp"), Some(&["192.0.2.1".to_owned()][..]));
    }

    #[test]
    fn a_request_cannot_claim_what_the_caller_is() {
        let (caller, request) = (Context::new(), Context::new().with("aws:username", "admin"));
        assert_eq!(Facts::new(&caller, &request).values("aws:username"), None);
    }
}
