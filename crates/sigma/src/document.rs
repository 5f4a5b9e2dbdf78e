//! Files of rules, taken apart into texts of one rule each.

use yaml_serde::Value;

use crate::{Reason, Refused, census};

/// The text of one rule, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) file: String,
    /// By which it is named when it cannot be read.
    pub(crate) label: String,
    /// YAML of one rule, behind that of the `action: global` before it.
    pub(crate) text: String,
}

impl Document {
    pub(crate) fn refused(&self, reason: Reason) -> Refused {
        Refused { file: self.file.clone(), rule: self.label.clone(), reason }
    }
}

/// Takes the file apart. A line that begins with `---` ends a document wherever it stands. (YAML 1.2.2, "Document
/// Markers".) What holds nothing is left out.
pub(crate) fn split(file: &str, text: &str, refused: &mut Vec<Refused>) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut global: Option<&str> = None;
    for (index, part) in parts(text).into_iter().enumerate() {
        let mut document =
            Document { file: file.to_owned(), label: format!("document {}", index + 1), text: part.to_owned() };
        match read(part) {
            Ok(Value::Null) => {}
            Ok(value) => {
                if let Some(title) = value.get("title").and_then(Value::as_str) {
                    document.label = title.chars().take(256).collect();
                }
                match value.get("action").map(|action| action.as_str()) {
                    None => {
                        if let Some(global) = global {
                            document.text = format!("{}\n---\n{part}", global.trim_end());
                        }
                        documents.push(document);
                    }
                    Some(Some("global")) => global = Some(part),
                    Some(Some("reset")) => global = None,
                    Some(_) => refused.push(document.refused(Reason::Unsupported(
                        "'action' is global or reset here; write the rule out, and leave 'action' away".to_owned(),
                    ))),
                }
            }
            Err(reason) => refused.push(document.refused(reason)),
        }
    }
    documents
}

/// The document as YAML, of a size that a rule may have.
fn read(text: &str) -> Result<Value, Reason> {
    census::check(text)?;
    let value: Value = yaml_serde::from_str(text).map_err(|error| Reason::Yaml(error.to_string()))?;
    if value.is_mapping() || value.is_null() {
        return Ok(value);
    }
    Err(Reason::Invalid("a rule is a mapping with a title, a logsource and a detection".to_owned()))
}

fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker {
            parts.push(&text[start..at]);
            // What follows the marker in its line belongs to the next document.
            start = at + 3;
        }
        at = end;
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(text: &str) -> (Vec<String>, Vec<Refused>) {
        let mut refused = Vec::new();
        let documents = split("f.yml", text, &mut refused);
        (documents.into_iter().map(|document| document.label).collect(), refused)
    }

    #[test]
    fn a_file_may_hold_several_rules_and_comments() {
        let (found, refused) = titles("# only words\n---\ntitle: A\n---  # next\ntitle: B\n---\n# nothing\n---\n");
        assert_eq!((found, refused), (vec!["A".to_owned(), "B".to_owned()], vec![]));
    }

    #[test]
    fn a_marker_within_a_line_ends_nothing() {
        assert_eq!(titles("title: A\ndescription: |\n  ---\n  x\n").0, ["A"]);
    }

    #[test]
    fn what_is_global_stands_before_what_follows_it() {
        let mut refused = Vec::new();
        let text = "action: global\nlevel: low\n---\ntitle: A\n---\naction: reset\n---\ntitle: B\n";
        let documents = split("f.yml", text, &mut refused);
        assert_eq!(documents[0].text, "action: global\nlevel: low\n---\n\ntitle: A\n");
        assert_eq!(documents[1].text, "\ntitle: B\n");
        assert!(refused.is_empty());
    }

    #[test]
    fn one_bad_document_leaves_the_others() {
        let (found, refused) =
            titles("title: A\n---\n[\n---\n- a list\n---\naction: repeat\ntitle: R\n---\ntitle: B\n");
        assert_eq!(found, ["A", "B"]);
        let names: Vec<&str> = refused.iter().map(|refused| refused.rule.as_str()).collect();
        assert_eq!(names, ["document 2", "document 3", "R"]);
    }
}
