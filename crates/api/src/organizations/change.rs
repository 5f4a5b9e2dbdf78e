//! How an organization changes: the one way for every operation.

use std::sync::Arc;

use opentrail_catalog::CatalogError;
use opentrail_organizations::{Changing, Edit, Organization};

use crate::context::{Context, JournalChange, RecordOrder};
use crate::trail::scope_of;
use crate::turn::Turn;

/// What is changed together with an organization, in the same transaction.
#[derive(Debug, Default)]
pub(crate) struct Beside<'a> {
    /// Handshakes and requests for accounts.
    pub(crate) edits: Vec<Edit>,
    /// Identities, with the right to change them, which was taken after that to change organizations.
    pub(crate) identities: Option<(opentrail_iam::Changing<'a>, Vec<opentrail_identity::Edit>)>,
}

/// What a change of an organization leads to: entries for the journal, in the batch of the call's record.
#[derive(Debug)]
pub(crate) struct Committed {
    /// The organization's trails and event data stores as they are now. The catalog has them already.
    pub(crate) changes: Vec<JournalChange>,
    /// Whether the record of the call comes before or after them.
    pub(crate) order: RecordOrder,
    /// Held until they are in the journal.
    pub(crate) turn: Option<Turn>,
}

/// Commits what an organization has become: `before` is `None` for a new one, `after` for one that is deleted; when
/// both are the same, only what is `beside` changes. One transaction has it all, and afterwards everybody sees it.
///
/// The organization's trails and event data stores are of all its accounts, so whatever changes about accounts or trusted
/// services changes them too, in the same transaction. Whoever makes or changes one of the management account has the same
/// turn, so that none is missed.
///
/// # Errors
/// When the catalog does not take it; nothing has changed then.
pub(crate) async fn commit(
    cx: Context<'_>,
    changing: Changing<'_>,
    before: Option<Arc<Organization>>,
    after: Option<Organization>,
    beside: Beside<'_>,
) -> Result<Committed, CatalogError> {
    let mut edits = beside.edits;
    let mut documents = Vec::new();
    let mut committed = Committed { changes: Vec::new(), order: RecordOrder::RecordFirst, turn: None };
    if before.as_deref() != after.as_ref() {
        if let Some(Organization { management, .. }) = before.as_deref().or(after.as_ref()) {
            committed.turn = Some(cx.services.turns.take(*management).await);
            let scope = after.as_ref().map(scope_of);
            for (document, change) in cx.services.trails.rescoped(*management, scope.as_ref()).await? {
                documents.push(document);
                committed.changes.push(change.into());
            }
            for (document, change) in cx.services.stores.rescoped(*management, scope.as_ref()).await? {
                documents.push(document);
                committed.changes.push(change.into());
            }
        }
        match (&before, after) {
            (_, Some(after)) => edits.push(Edit::PutOrganization(Box::new(after))),
            (Some(before), None) => edits.push(Edit::DeleteOrganization(before.id.clone())),
            (None, None) => {}
        }
    }
    if let Some((identities, changed)) = &beside.identities {
        documents.extend(identities.changes(changed));
    }
    changing.commit(&edits, documents).await?;
    if let Some((identities, changed)) = beside.identities {
        identities.applied(&changed);
    }
    if committed.changes.is_empty() {
        committed.turn = None;
    }
    Ok(committed)
}
