//! Which folders of a bucket hold log files, in the order of their keys.
//!
//! Log files lie in `[prefix/]AWSLogs/[o-…/]<account>/CloudTrail/<Region>/<YYYY>/<MM>/<DD>/` (User Guide, "Finding your
//! CloudTrail log files"). Folders above the days are listed one after another by their delimiter, and those of other
//! services or outside the window not at all. What does not look like that, but lies in a `CloudTrail` folder, is a folder
//! of log files with everything below it.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use opentrail_model::{AccountId, OrganizationId, Region};

use crate::entry::Patience;
use crate::window::LOGS;
use crate::{Cursor, EntryError, Object, Window};

/// Folders inside one another that are looked through for log files.
const DEEPEST: usize = 12;

/// A place where there are log files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// All that is below this folder.
    Folder(String),
    /// Files that lie in the folder itself, where only folders are expected.
    Files(Vec<Object>),
}

/// A folder that is not looked into yet.
enum Node {
    /// Above the log files: only folders called `CloudTrail` matter.
    Above(String),
    /// A folder `CloudTrail`, or one in it above the days.
    Logs(String),
    Place(Place),
}

/// The places below a folder, one after another.
pub(crate) struct Folders {
    store: Arc<dyn ObjectStore>,
    patience: Patience,
    window: Window,
    after: Option<Cursor>,
    /// The next is the last.
    nodes: Vec<Node>,
}

impl Folders {
    /// The places of log files below `root`, which is empty or ends with `/`.
    pub(crate) fn of_logs(
        store: Arc<dyn ObjectStore>,
        patience: Patience,
        root: &str,
        window: Window,
        after: Option<Cursor>,
    ) -> Self {
        let inside = root.split('/').any(|part| part == LOGS);
        let node = if inside { child(root) } else { Node::Above(root.to_owned()) };
        Self { store, patience, window, after, nodes: vec![node] }
    }

    /// The next place; `None` after the last. The error names the folder that cannot be listed, and leaves what follows it
    /// unknown.
    pub(crate) async fn next(&mut self) -> Result<Option<Place>, (String, EntryError)> {
        while let Some(node) = self.nodes.pop() {
            let (folder, in_logs) = match node {
                Node::Place(Place::Folder(folder)) if self.is_passed(&folder) => continue,
                Node::Place(place) => return Ok(Some(place)),
                Node::Above(folder) => (folder, false),
                Node::Logs(folder) => (folder, true),
            };
            if self.is_passed(&folder) {
                continue;
            }
            let children = if is_of_account(&folder) && !in_logs {
                // Whatever else an account has there, the log files are in this one.
                vec![(String::new(), Node::Logs(format!("{folder}{LOGS}/")))]
            } else {
                self.list(&folder, in_logs).await.map_err(|error| (folder, error))?
            };
            self.nodes.extend(children.into_iter().rev().map(|(_, node)| node));
        }
        Ok(None)
    }

    fn is_passed(&self, folder: &str) -> bool {
        !self.window.may_hold_folder(folder) || self.after.as_ref().is_some_and(|after| after.passes_folder(folder))
    }

    /// What is in a folder, in the order of keys.
    async fn list(&self, folder: &str, in_logs: bool) -> Result<Vec<(String, Node)>, EntryError> {
        let path = (!folder.is_empty()).then(|| Path::parse(folder.trim_end_matches('/'))).transpose();
        let path = path.map_err(object_store::Error::from)?;
        let listed = self.patience.ask(|| self.store.list_with_delimiter(path.as_ref())).await?;
        let mut nodes = Vec::new();
        for prefix in listed.common_prefixes {
            let below = format!("{prefix}/");
            let name = prefix.filename().unwrap_or_default();
            let node = match in_logs || name == LOGS {
                true => child(&below),
                false if below.matches('/').count() <= DEEPEST => Node::Above(below.clone()),
                false => continue,
            };
            nodes.push((below, node));
        }
        if in_logs {
            for meta in listed.objects {
                let object = Object { key: meta.location.to_string(), size: meta.size };
                if self.after.as_ref().is_none_or(|after| !after.passes_key(&object.key)) {
                    nodes.push((object.key.clone(), Node::Place(Place::Files(vec![object]))));
                }
            }
        }
        nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(nodes)
    }
}

/// A folder in or below one called `CloudTrail`.
fn child(folder: &str) -> Node {
    let below = folder.trim_end_matches('/').rsplit_once(LOGS).map(|(_, below)| below).unwrap_or_default();
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = below.split('/').skip(1).collect();
    let expected = parts.iter().enumerate().all(|(level, part)| match level {
        0 => part.parse::<Region>().is_ok(),
        1 => digits(part, 4),
        2 => digits(part, 2),
        _ => false,
    });
    if expected { Node::Logs(folder.to_owned()) } else { Node::Place(Place::Folder(folder.to_owned())) }
}

/// Whether a folder is `…/AWSLogs/`, an organization's in it, or an account's.
pub(crate) fn is_above_logs(folder: &str) -> bool {
    let mut parts = folder.trim_end_matches('/').rsplit('/');
    let last = parts.next().unwrap_or_default();
    let of_organization = last.parse::<OrganizationId>().is_ok() && parts.next() == Some("AWSLogs");
    last == "AWSLogs" || of_organization || is_of_account(folder)
}

/// Whether a folder is `…/AWSLogs/<account>/` or `…/AWSLogs/<organization>/<account>/`.
fn is_of_account(folder: &str) -> bool {
    let mut parts = folder.trim_end_matches('/').rsplit('/');
    let is_account = parts.next().is_some_and(|part| part.parse::<AccountId>().is_ok());
    is_account
        && match parts.next() {
            Some("AWSLogs") => true,
            Some(part) => part.parse::<OrganizationId>().is_ok() && parts.next() == Some("AWSLogs"),
            None => false,
        }
}
