//! Texts without regard to case.

/// A character without its case: its lower case where that is one character, itself otherwise.
///
/// Event Ruler takes the lower or the upper case of each character of a pattern; the two differ for the few characters
/// whose case does not lead back (`ſ`, the Kelvin sign), and for those whose upper case is several (`ß`).
pub(crate) fn fold(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => character,
    }
}

/// A text of folded characters.
pub(crate) fn folded(text: &str) -> Box<str> {
    text.chars().map(fold).collect::<String>().into()
}

/// Whether a text is a folded one, when folded.
pub(crate) fn is(text: &str, folded: &str) -> bool {
    text.chars().map(fold).eq(folded.chars())
}

/// Whether a text begins with a folded one, when folded.
pub(crate) fn begins(text: &str, folded: &str) -> bool {
    let mut text = text.chars().map(fold);
    folded.chars().all(|character| text.next() == Some(character))
}

/// Whether a text ends with a folded one, when folded.
pub(crate) fn ends(text: &str, folded: &str) -> bool {
    let mut text = text.chars().rev().map(fold);
    folded.chars().rev().all(|character| text.next() == Some(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter() {
        let wanted = folded("ÄrgerX");
        assert!(is("äRGERx", &wanted) && begins("ÄRGERxyz", &wanted) && ends("kein äRGERX", &wanted));
        assert!(!is("äRGER", &wanted) && !begins("äRGER", &wanted) && !ends("RGERX", &wanted));
        assert!(is("İ", &folded("İ")) && !is("i", &folded("İ")));
        assert!(begins("", "") && ends("x", ""));
    }
}
