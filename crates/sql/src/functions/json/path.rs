//! JSON paths: `$.a.b`, `$.x.items[0].y`, `$.c.AWS:ComplianceItem`, `$["a b"]`; found in the text without parsing the rest.

use datafusion::common::Result;

use crate::error::StatementError;

/// A path from the root to one value.
#[derive(Debug)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

impl JsonPath {
    pub(super) fn parse(path: &str) -> Result<Self> {
        Self::steps(path).map(Self).ok_or_else(|| {
            let hint = "a path is such as $.a.b, $.items[0].c or $[\"a b\"]";
            StatementError::Invalid(format!("'{path}' is no JSON path that is supported; {hint}")).into()
        })
    }

    fn steps(path: &str) -> Option<Vec<Step>> {
        let mut rest = path.strip_prefix('$').unwrap_or(path);
        let mut steps = Vec::new();
        if !path.starts_with('$') && !path.starts_with(['.', '[']) {
            // Trino lets the root be left out.
            let (name, behind) = until_step(rest);
            steps.push(Step::Member(plain_name(name)?));
            rest = behind;
        }
        while !rest.is_empty() {
            if let Some(behind) = rest.strip_prefix('.') {
                let (name, behind) = until_step(behind);
                steps.push(Step::Member(plain_name(name)?));
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix('[') {
                let quote = behind.chars().next().filter(|quote| matches!(quote, '"' | '\''));
                if let Some(quote) = quote {
                    let (name, behind) = behind[1..].split_once(quote)?;
                    steps.push(Step::Member(name.to_owned()));
                    rest = behind.strip_prefix(']')?;
                } else {
                    let (index, behind) = behind.split_once(']')?;
                    let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                    steps.push(if is_index {
                        Step::Item(index.parse().ok()?)
                    } else {
                        Step::Member(plain_name(index)?)
                    });
                    rest = behind;
                }
            } else {
                return None;
            }
        }
        Some(steps)
    }

    /// The text of the value at this path in `json`.
    pub(super) fn find<'a>(&self, json: &'a str) -> Option<&'a str> {
        let bytes = json.as_bytes();
        let mut at = skip_space(bytes, 0);
        for step in &self.0 {
            at = match step {
                Step::Member(name) => member(json, at, name)?,
                Step::Item(index) => item(bytes, at, *index)?,
            };
        }
        let end = skip_value(bytes, at)?;
        if self.0.is_empty() && skip_space(bytes, end) != bytes.len() {
            return None;
        }
        let value = json.get(at..end)?;
        is_value(value).then_some(value)
    }
}

fn until_step(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
}

fn plain_name(name: &str) -> Option<String> {
    let is_plain = !name.is_empty() && !name.contains(['*', '?', '"', '\'', ']', '(']);
    is_plain.then(|| name.to_owned())
}

/// Whether text that [`skip_value`] found is a value: it takes any word for one.
fn is_value(value: &str) -> bool {
    match value.as_bytes().first() {
        Some(b'"') => true,
        // Whoever reads on into it sees what is wrong there.
        Some(b'{' | b'[') => true,
        Some(_) => {
            matches!(value, "true" | "false" | "null") || serde_json::from_str::<serde_json::Number>(value).is_ok()
        }
        None => false,
    }
}

pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Behind the string that starts at `at`.
fn skip_text(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    loop {
        match bytes.get(end)? {
            b'"' => return Some(end + 1),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

/// Behind the value that starts at `at`; brackets are counted, not matched by kind.
pub(super) fn skip_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => at = skip_text(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            byte if byte.is_ascii_whitespace() || matches!(byte, b',' | b':') => {
                if depth == 0 {
                    return None;
                }
                at += 1;
                continue;
            }
            _ => {
                let ends = |byte: &u8| {
                    byte.is_ascii_whitespace() || matches!(byte, b',' | b':' | b']' | b'}' | b'"' | b'{' | b'[')
                };
                at += bytes[at..].iter().position(ends).unwrap_or(bytes.len() - at);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Where the value of the member `name` starts, of the object at `at`.
fn member(json: &str, at: usize, name: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    let mut at = skip_space(bytes, at + 1);
    while bytes.get(at) == Some(&b'"') {
        let end = skip_text(bytes, at)?;
        let key = json.get(at + 1..end - 1)?;
        let is_it = if key.contains('\\') {
            serde_json::from_str::<String>(json.get(at..end)?).is_ok_and(|key| key == name)
        } else {
            key == name
        };
        at = skip_space(bytes, end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(bytes, at + 1);
        if is_it {
            return Some(at);
        }
        at = skip_space(bytes, skip_value(bytes, at)?);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(bytes, at + 1);
    }
    None
}

/// Where the item `index` starts, of the array at `at`.
fn item(bytes: &[u8], at: usize, index: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    let mut at = skip_space(bytes, at + 1);
    for _ in 0..index {
        at = skip_space(bytes, skip_value(bytes, at)?);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at = skip_space(bytes, at + 1);
    }
    (bytes.get(at)? != &b']').then_some(at)
}
