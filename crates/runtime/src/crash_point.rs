use std::fmt;
use std::str::FromStr;

/// The variable that names the step at which a debug build dies, e.g. `journal.synced`, or `journal.synced:3` for the
/// third time that the process comes to it. Unknown to release builds.
pub const CRASH_AT: &str = "OPENTRAIL_CRASH_AT";

macro_rules! crash_points {
    ($($point:ident $name:literal $meaning:literal)*) => {
        /// A named step between two changes of the disk, at which a test can have the server die as by `kill -9`.
        ///
        /// [`CrashPoint::reach`] stands in the code at each. In release builds that is nothing at all; in debug builds
        /// it asks whether [`CrashAt::arm`] was told this step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CrashPoint {
            $(#[doc = $meaning] $point,)*
        }

        impl CrashPoint {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$point),*];

            /// What tests call it: the crate and the step, e.g. `journal.synced`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }

            /// What has happened when it is reached, and what has not.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$point => $meaning,)*
                }
            }
        }
    };
}

crash_points! {
    KeysStaged "keys.staged" "The key ring is written under another name."
    KeysMade "keys.made" "The key ring has its name, which is not yet synced."

    CatalogCommit "catalog.commit" "A transaction is about to be committed."
    CatalogCommitted "catalog.committed" "A transaction is durable; nobody was told."

    JournalSegmentStaged "journal.segment-staged" "The next segment is written and synced under another name."
    JournalSegmentNamed "journal.segment-named" "The next segment has its name, which is not yet synced."
    JournalWrite "journal.write" "A frame is about to be written."
    JournalWritten "journal.written" "A frame is written and not synced."
    JournalSynced "journal.synced" "A frame is durable; no reader sees it and nobody was told."
    JournalPublished "journal.published" "A frame is durable and seen by readers; nobody was told."
    JournalTrim "journal.trim" "A segment is about to be deleted."
    JournalTrimmed "journal.trimmed" "A segment is deleted, and the directory not synced."
    JournalClose "journal.close" "A stop has come to the journal; its closing mark is not written."
    JournalClosed "journal.closed" "The journal's closing mark is durable."

    IngestAppend "ingest.append" "Records of a request are about to be appended."
    IngestAppended "ingest.appended" "Records of a request are durable; the request is not answered."

    ServerRootKey "server.root-key" "The account of the first start is in the catalog; there is no credentials file."
    ServerCredentialsStaged "server.credentials-staged" "The credentials are written under another name."
    ServerCredentials "server.credentials" "The credentials file is there."
    ServerReconcile "server.reconcile" "A start is about to append the catalog's trails to the journal."
    ServerReconciled "server.reconciled" "A start has appended the catalog's trails to the journal."
    ServerCallAppend "server.call-append" "A call to our own API is done and about to be recorded."
    ServerCallAppended "server.call-appended" "A call to our own API is recorded and not answered."
    ServerChangeAppend "server.change-append" "A trail is changed in the catalog, and not in the journal."
    ServerChangeAppended "server.change-appended" "A trail is changed in catalog and journal; nobody was told."
    ServerQueueAppend "server.queue-append" "Records of calls that were answered are about to be appended."
    ServerQueueAppended "server.queue-appended" "Records of calls that were answered are durable."
    ServerImportMark "server.import-mark" "An imported file's records are durable; it is not marked as done."
    ServerImportMarked "server.import-marked" "An imported file is marked as done; nobody was told."
    ServerFindingTold "server.finding-told" "Findings are on their buses, and not counted."
    ServerDrained "server.drained" "A stop has drained what came in; projections have not finished."

    DeliveryWorker "delivery.worker" "A new trail was seen; its worker is not in the catalog."
    DeliveryWorkerMade "delivery.worker-made" "A new trail's worker is in the catalog and not started."
    DeliveryObey "delivery.obey" "A change of a trail is next; what came before it is delivered."
    DeliveryObeyed "delivery.obeyed" "A change of a trail is in its worker's state."
    DeliveryCut "delivery.cut" "Log files are made; the intent to deliver them is not in the catalog."
    DeliveryIntended "delivery.intended" "The intent to deliver log files is in the catalog."
    DeliveryPut "delivery.put" "A log file is about to be put."
    DeliveryWasPut "delivery.was-put" "A log file is put, which is not in the catalog."
    DeliveryAllPut "delivery.all-put" "All log files of a cut are put; the cursor has not moved."
    DeliveryDelivered "delivery.delivered" "The cursor has moved past log files that were put."
    DeliverySaved "delivery.saved" "A cursor that moved past records of no log file is saved."
    DeliveryKeyMade "delivery.key-made" "A Region's key for digests is made, and not in the catalog."
    DeliveryKeyKept "delivery.key-kept" "A Region's key for digests is in the catalog."
    DeliveryDigestSigned "delivery.digest-signed" "A digest is signed; its bytes are not in the catalog."
    DeliveryDigestFixed "delivery.digest-fixed" "A digest's bytes are in the catalog."
    DeliveryDigestPut "delivery.digest-put" "A digest is put; its chain has not moved."
    DeliveryDigestDelivered "delivery.digest-delivered" "A digest is put and its chain has moved."
    DeliveryNotified "delivery.notified" "A topic is told of a log file; the catalog does not know."
    DeliveryLogged "delivery.logged" "A trail's events are in its log group; its place in the journal is not saved."
    InsightsAppend "insights.append" "Records of Insights are next; their minute is not in the file."
    InsightsAppended "insights.appended" "Records of Insights are in the journal; their minute is not in the file."
    DeliveryEnd "delivery.end" "A deleted trail's last digest is delivered; its documents are there."
    DeliveryEnded "delivery.ended" "A deleted trail's documents are gone."

    HistoryWritten "history.written" "Files of new rows are written; no commit names them."
    HistoryCommitted "history.committed" "New rows are committed; lookups find them in memory still."
    HistoryMerged "history.merged" "Files are merged into one that no commit names."
    HistoryReplaced "history.replaced" "A merged file has replaced its parts; lookups read the parts still."

    QueriesStaged "queries.staged" "A query's rows are durable under another name."
    QueriesPlaced "queries.placed" "A query's rows have their name; the catalog does not know that it ended."
    QueriesFinished "queries.finished" "A query's end is in the catalog; its results are not on their way to a bucket."
    QueriesPut "queries.put" "A query's results are in a bucket without a sign file."
    QueriesSigned "queries.signed" "A query's results and their sign file are in a bucket; the catalog does not know."
    QueriesExpired "queries.expired" "An expired query's rows are gone; its document is there."

    ImportsStarted "imports.started" "An import is in the catalog; its caller was not told."
    ImportsIntended "imports.intended" "What a chunk of an import does is in the catalog; nothing of it is done."
    ImportsLanded "imports.landed" "A chunk of an import is in the store's table; the catalog does not know."
    ImportsSettled "imports.settled" "A chunk of an import is in the store's table and in the catalog."
    ImportsEnd "imports.end" "An import's last chunk is settled; its end is not in the catalog."
    ImportsEnded "imports.ended" "An import's end is in the catalog."

    FollowTake "follow.take" "Log files that are followed are read; nothing of them is in the journal."
    FollowTaken "follow.taken" "A batch of followed log files' records and its mark are durable; the catalog does not know."
    FollowFold "follow.fold" "Marks of followed log files were read in the journal; the catalog does not know."
    FollowFolded "follow.folded" "Marks of followed log files are in the catalog; nobody was told."
    FollowPass "follow.pass" "A folder was swept; that all of it is taken is not in the catalog."
    FollowPassed "follow.passed" "That all of a folder is taken is in the catalog; its files are no more remembered."
    FollowNotified "follow.notified" "Log files that messages name are taken and known; the messages are in their queue still."

    SnsCommit "sns.commit" "A message and its deliveries are about to be committed."
    SnsCommitted "sns.committed" "A message and its deliveries are durable; nobody was told."
    SnsSent "sns.sent" "Endpoints were asked; what became of their deliveries is not settled."
    SnsSettled "sns.settled" "What became of deliveries is durable; nobody was told."

    EventsCommit "events.commit" "What rules took is about to be committed."
    EventsCommitted "events.committed" "What rules took is durable, of records with the position; nobody was told."
    EventsSent "events.sent" "Targets were invoked; what became of that is not stored."
    EventsSettled "events.settled" "What became of invocations is durable; nobody was told."

    MonitoringFold "monitoring.fold" "What a source measured and its position are about to be committed."
    MonitoringFolded "monitoring.folded" "What a source measured is durable with its position; no alarm has looked at it."
    MonitoringChange "monitoring.change" "Alarms' states, history and actions are about to be committed."
    MonitoringChanged "monitoring.changed" "Alarms' states, history and actions are durable; nobody was told."
    MonitoringPerformed "monitoring.performed" "An alarm's action is performed; the outbox has it still."
    MonitoringSettled "monitoring.settled" "An alarm's action is performed, and its outcome durable; the lane is not free."

    SigmaSave "sigma.save" "Findings and the position are about to be committed."
    SigmaSaved "sigma.saved" "Findings are durable with the position; nobody was told."
    SigmaChanged "sigma.changed" "Rules are changed in the file; those in memory are the old ones."
    SigmaHandedOn "sigma.handed-on" "Findings were handed on; the cursor has not moved."

    LakeStaged "lake.staged" "A commit of a table is written under another name."
    LakeCommitted "lake.committed" "A commit of a table has its name, which is not yet synced."
    LakeCheckpointStaged "lake.checkpoint-staged" "A checkpoint, or the pointer to it, is written under another name."
    LakeCheckpointPlaced "lake.checkpoint-placed" "A checkpoint, or the pointer to it, has its name, not yet synced."
    LakeSwept "lake.swept" "One of the files that left a table is deleted."

    TablesTable "tables.table" "A new store was seen; its table is not in the catalog."
    TablesTableMade "tables.table-made" "A new store's table is in the catalog; there is no directory."
    TablesObey "tables.obey" "A change of a store is next; what came before it is in its table."
    TablesObeyed "tables.obeyed" "A change of a store is in the catalog beside its table."
    TablesWritten "tables.written" "Files of a store's new rows are written; no commit names them."
    TablesCommitted "tables.committed" "A store's new rows are committed; they are in memory still."
    TablesImportWritten "tables.import-written" "Files of an import's chunk are written; no commit names them."
    TablesImported "tables.imported" "A chunk of an import is committed; nobody was told."
    TablesMerged "tables.merged" "Files of a store are merged into one that no commit names."
    TablesReplaced "tables.replaced" "A merged file of a store has replaced its parts."
    TablesExpired "tables.expired" "Files past a store's retention have left its table, and lie there still."
    TablesDrop "tables.drop" "A store is gone; its table is not marked so."
    TablesDropped "tables.dropped" "A store is gone; its table is marked so, and lies there still."
    TablesRemoved "tables.removed" "A store is gone, and so is its table; the mark is there still."

    LogsCommit "logs.commit" "Log events that were put are about to be committed."
    LogsCommitted "logs.committed" "Log events are durable; no follower sees them and nobody was told."
    LogsCounted "logs.counted" "What metric filters count is known, and not folded into metrics."
    LogsMerge "logs.merge" "A chunk of log events is about to take the place of several."

    ObjectsStaged "objects.staged" "An object's bytes are durable under another name."
    ObjectsDescribed "objects.described" "An object's metadata is durable; its bytes have not their name."
    ObjectsPlaced "objects.placed" "An object has its name, which is not yet synced."
    ObjectsDeleted "objects.deleted" "An object's bytes are gone; its metadata is there."
    ObjectsKept "objects.kept" "The bytes of a version that is to be an older one have their further name."
    ObjectsMarked "objects.marked" "A delete marker is described; the object still has its name."
    ObjectsBroughtBack "objects.brought-back" "A version before the deleted one is what its key shows; both are described."
    ObjectsVersionDeleted "objects.version-deleted" "A deleted version is no more described; its bytes may be there."
    ObjectsBucketDirectory "objects.bucket-directory" "A new bucket has a directory and no document."
    ObjectsPartPlaced "objects.part-placed" "The bytes of an upload's part are there; no document names them."
    ObjectsCompleted "objects.completed" "An upload has become an object; the upload is there still."
}

impl CrashPoint {
    /// The process has come to this step, and dies here if it was told to.
    #[inline(always)]
    pub fn reach(self) {
        #[cfg(debug_assertions)]
        armed::reach(self);
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no crash point {text:?}; `opentrail crash-points` lists them, and :N after one means the N-th time")]
pub struct UnknownCrashPoint {
    /// What was given.
    pub text: String,
}

/// A step, and which time it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashAt {
    /// The step.
    pub point: CrashPoint,
    /// The process dies when it comes there for this time, counted from 1.
    pub time: u64,
}

impl FromStr for CrashAt {
    type Err = UnknownCrashPoint;

    /// Reads the text of [`CRASH_AT`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownCrashPoint { text: text.to_owned() };
        let (name, time) = match text.split_once(':') {
            Some((name, time)) => (name, time.parse().ok().filter(|time| *time > 0).ok_or_else(unknown)?),
            None => (text, 1),
        };
        let point = CrashPoint::ALL.iter().find(|point| point.name() == name).ok_or_else(unknown)?;
        Ok(Self { point: *point, time })
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    use super::{CrashAt, CrashPoint};

    static ARMED: OnceLock<(CrashAt, AtomicU64)> = OnceLock::new();

    impl CrashAt {
        /// From now on the process dies at the step. Only the first call counts.
        pub fn arm(self) {
            let _ = ARMED.set((self, AtomicU64::new(0)));
        }
    }

    pub(super) fn reach(point: CrashPoint) {
        if let Some((at, reached)) = ARMED.get()
            && at.point == point
            && reached.fetch_add(1, Ordering::Relaxed) + 1 == at.time
        {
            // Nothing is flushed, dropped or said: that is the point. The call does not return.
            let _ = kill_process(getpid(), Signal::KILL);
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_step_is_read_by_its_name_and_time() {
        let read = |text: &str| text.parse::<CrashAt>();
        assert_eq!(read("journal.synced"), Ok(CrashAt { point: CrashPoint::JournalSynced, time: 1 }));
        assert_eq!(read("journal.synced:12"), Ok(CrashAt { point: CrashPoint::JournalSynced, time: 12 }));
        for wrong in ["", "journal", "journal.sinced", "journal.synced:", "journal.synced:0", "journal.synced:x"] {
            assert!(read(wrong).unwrap_err().to_string().contains(&format!("{wrong:?}")), "{wrong}");
        }
    }

    #[test]
    fn names_differ_and_begin_with_a_crate() {
        let names: BTreeSet<_> = CrashPoint::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), CrashPoint::ALL.len());
        let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        for name in names {
            let (named, _) = name.split_once('.').unwrap();
            assert!(std::path::Path::new(crates).join(named).is_dir(), "{name}");
        }
    }

    #[test]
    fn a_process_that_was_told_nothing_passes_every_step() {
        CrashPoint::ALL.iter().for_each(|point| point.reach());
    }
}
