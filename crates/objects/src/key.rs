//! Where an object's bytes lie: keys spelled as paths, both ways.
//!
//! Each segment of a key becomes one name, kept as it is wherever that is safe, so that people find their files.
//! The crate's `README.md` has the rules and why they are unambiguous.

use std::path::PathBuf;

/// The longest name written before a mark is added; file systems stop at 255 bytes.
const LONGEST_NAME: usize = 240;

/// Ends the name of an object that could be taken for a directory.
const OBJECT_MARK: &str = "%o";
/// Ends the name of a directory that could be taken for an object.
const PREFIX_MARK: &str = "%p";
/// Ends the name of a directory in which a segment too long for one name goes on.
const CONTINUED_MARK: &str = "%+";

/// What a segment is in its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The last segment: the object itself.
    Object,
    /// Any other: a part of the prefix.
    Prefix,
}

/// A name found on disk, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The whole segment, or what is left of a continued one.
    Segment(String),
    /// A first part of a segment; the rest is inside the directory.
    Continued(String),
}

/// The longest key, in bytes. (S3 User Guide, "Naming Amazon S3 objects".)
pub(crate) const LONGEST_KEY: usize = 1024;

/// The path of `key` below its bucket's directory.
pub(crate) fn path_of(key: &str) -> PathBuf {
    let (prefix, object) = key.rsplit_once('/').map_or((None, key), |(prefix, object)| (Some(prefix), object));
    let mut path = PathBuf::new();
    for segment in prefix.into_iter().flat_map(|prefix| prefix.split('/')) {
        path.extend(names_of(segment, Kind::Prefix));
    }
    path.extend(names_of(object, Kind::Object));
    path
}

/// The names that spell one segment: one, or several for a segment too long for one.
pub(crate) fn names_of(segment: &str, kind: Kind) -> Vec<String> {
    let mut names = Vec::with_capacity(1);
    let mut name = String::with_capacity(segment.len() + 2);
    for c in segment.chars() {
        let escaped = matches!(c, '%' | '\0'..='\x1f' | '\x7f');
        let length = if escaped { 3 } else { c.len_utf8() };
        if name.len() + length > LONGEST_NAME {
            name.push_str(CONTINUED_MARK);
            names.push(std::mem::take(&mut name));
        }
        if escaped {
            name.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            name.push(c);
        }
    }
    let plain = match kind {
        Kind::Object => segment.contains('.') && segment != "." && segment != "..",
        Kind::Prefix => !segment.contains('.') && !segment.is_empty(),
    };
    // The last part of a continued segment is always marked: it may be anything, `..` included.
    if !plain || !names.is_empty() {
        name.push_str(match kind {
            Kind::Object => OBJECT_MARK,
            Kind::Prefix => PREFIX_MARK,
        });
    }
    names.push(name);
    names
}

/// Takes a name apart. `None` when no key has it: such a file is somebody else's.
pub(crate) fn read_name(name: &str, kind: Kind) -> Option<Name> {
    if let Some(part) = name.strip_suffix(CONTINUED_MARK) {
        return (kind == Kind::Prefix).then(|| unescape(part).map(Name::Continued)).flatten();
    }
    let mark = match kind {
        Kind::Object => OBJECT_MARK,
        Kind::Prefix => PREFIX_MARK,
    };
    unescape(name.strip_suffix(mark).unwrap_or(name)).map(Name::Segment)
}

fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('%');
    let mut segment = parts.next()?.to_owned();
    for part in parts {
        let byte = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        segment.push(char::from(byte));
        segment.push_str(&part[2..]);
    }
    Some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivered_files_keep_their_names() {
        let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/02/111122223333_CloudTrail_us-east-1_x.json.gz";
        assert_eq!(path_of(key), PathBuf::from(key));
    }

    #[test]
    fn names_that_mean_something_to_a_file_system_are_marked() {
        for (key, path) in [
            ("a", "a%o"),
            ("a/b", "a/b%o"),
            ("a.b/c.d", "a.b%p/c.d"),
            ("..", "..%o"),
            ("../../etc/passwd.txt", "..%p/..%p/etc/passwd.txt"),
            ("a//b.c", "a/%p/b.c"),
            ("/", "%p/%o"),
            ("folder/", "folder/%o"),
            ("50%.txt", "50%25.txt"),
            ("line\nbreak.txt", "line%0Abreak.txt"),
        ] {
            assert_eq!(path_of(key), PathBuf::from(path), "{key:?}");
        }
    }

    #[test]
    fn long_segments_go_on_in_a_directory() {
        let key = "k".repeat(500);
        let path = path_of(&key);
        let names: Vec<_> = path.iter().map(|name| name.len()).collect();
        assert_eq!(names, [242, 242, 22]);
    }
}
