//! Generated files: formatted, then either written or compared with what is committed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// What to do with generated text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Replace the committed files.
    Write,
    /// Leave them and fail when they differ.
    Check,
}

/// Collects generated files and their differences.
#[derive(Debug)]
pub(crate) struct Output {
    mode: Mode,
    root: PathBuf,
    stale: Vec<String>,
}

impl Output {
    /// An output into the workspace that this program was built from.
    pub(crate) fn new(mode: Mode) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies inside the workspace")?;
        Ok(Self { mode, root: root.to_owned(), stale: Vec::new() })
    }

    /// The workspace's root directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Formats `code` with the workspace's rustfmt settings and puts it at `path`, relative to the workspace.
    pub(crate) fn rust(&mut self, path: &str, code: &str) -> Result<()> {
        let formatted = rustfmt(&self.root, code).with_context(|| format!("formatting {path}"))?;
        self.text(path, &formatted)
    }

    /// Puts `text` at `path`, relative to the workspace.
    pub(crate) fn text(&mut self, path: &str, text: &str) -> Result<()> {
        let target = self.root.join(path);
        let committed = fs::read_to_string(&target).unwrap_or_default();
        if committed == text {
            return Ok(());
        }
        match self.mode {
            Mode::Write => {
                let parent = target.parent().context("a generated file lies in a directory")?;
                fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
                fs::write(&target, text).with_context(|| target.display().to_string())?;
                println!("wrote {path}");
            }
            Mode::Check => self.stale.push(difference(path, &committed, text)),
        }
        Ok(())
    }

    /// Fails when a checked file was not current; `remedy` is the command that mends it.
    pub(crate) fn finish(self, remedy: &str) -> Result<()> {
        if self.stale.is_empty() {
            return Ok(());
        }
        bail!("generated files are not current; run `{remedy}`\n{}", self.stale.join("\n"))
    }
}

/// Names the first line in which two texts differ, and their lengths.
fn difference(path: &str, committed: &str, generated: &str) -> String {
    if committed.is_empty() {
        return format!("  {path}: missing");
    }
    let line = committed.lines().zip(generated.lines()).take_while(|(a, b)| a == b).count();
    let at = |text: &str| text.lines().nth(line).unwrap_or("(end of file)").trim().to_owned();
    format!(
        "  {path}: line {}: committed `{}`, generated `{}` ({} and {} lines)",
        line + 1,
        at(committed),
        at(generated),
        committed.lines().count(),
        generated.lines().count()
    )
}

fn rustfmt(root: &Path, code: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("rustfmt is needed (rustup component add rustfmt)")?;
    let mut stdin = child.stdin.take().context("rustfmt has a standard input")?;
    let input = code.to_owned();
    // Written from a thread: rustfmt may fill its output pipe before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let done = child.wait_with_output()?;
    writer.join().ok().context("the thread that feeds rustfmt panicked")??;
    ensure!(done.status.success(), "rustfmt refused the generated code");
    Ok(String::from_utf8(done.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_first_line_that_differs() {
        let told = difference("a.rs", "one\ntwo\n", "one\n2\nthree\n");
        assert_eq!(told, "  a.rs: line 2: committed `two`, generated `2` (2 and 3 lines)");
        assert_eq!(difference("a.rs", "", "one\n"), "  a.rs: missing");
    }
}
