//! Runs the rules in a directory over records, one JSON document per line, and says what it found:
//! `cargo run --release -p opentrail-sigma --example hunt -- RULES RECORDS…`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use opentrail_sigma::{RuleSet, hunt};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rules = arguments.next().ok_or("usage: hunt RULES RECORDS…")?;
    let mut files = Vec::new();
    collect(Path::new(&rules), &mut files)?;
    let (set, refused) = RuleSet::load(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    println!("{} files, {} rules loaded, {} refused", files.len(), set.len(), refused.len());
    for refused in refused {
        println!("refused: {refused}");
    }
    for path in arguments {
        let records = fs::read(&path)?;
        let mut found = BTreeMap::<(String, String), usize>::new();
        let lines = records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(Bytes::copy_from_slice);
        let hunted = hunt(
            &set,
            "000000000000".parse()?,
            lines,
            |finding| *found.entry((finding.rule.level.to_string(), finding.rule.title)).or_default() += 1,
            |_| {},
        );
        println!("{path}: {hunted:?}");
        for ((level, title), count) in found {
            println!("{count:6}  {level:13}  {title}");
        }
    }
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<(String, String)>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "yml" || end == "yaml") {
            files.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(())
}
