use std::sync::Arc;

use opentrail_catalog::CatalogError;

use super::world::{ACCOUNT, World, ended, gzip, key, store};
use crate::{EntryErrorKind, FailureStatus, ImportError, ImportStatus, Imports, NewImport};

async fn run(world: &World, new: NewImport) -> (Imports, crate::Import) {
    let imports = world.open().await;
    let key = imports.start("us-east-1".parse().unwrap(), new).await.unwrap().key;
    let import = ended(&imports, &key).await;
    (imports, import)
}

#[tokio::test]
async fn what_lies_outside_the_times_is_not_taken() {
    let mut world = World::new().await;
    let old = key("us-east-1", "2024/03/01", "old");
    world.put_log(&old, 1, "2024-03-01T00:00:00Z").await;
    let day = |day: &str| key("us-east-1", &format!("2026/02/{day}"), &format!("202602{day}T0005Z_{day}"));
    for number in ["01", "02", "03", "05"] {
        world.put_log(&day(number), 1, &format!("2026-02-{number}T00:00:00Z")).await;
    }
    // A file of the day after the window with events of before.
    world.put_log(&day("04"), 1, "2026-02-03T23:59:59Z").await;
    let (_, all) = run(&world, world.new_import("")).await;
    let young: Vec<String> = world.put.iter().filter(|event| !event.contains("2024-")).cloned().collect();
    assert_eq!(world.table.events(), young, "what the store would not keep is passed over in silence");
    assert_eq!((all.status, all.statistics().events_completed), (ImportStatus::Completed, 5));

    let world = World { put: Vec::new(), table: Arc::default(), ..world };
    let new = NewImport {
        start: "2026-02-02T00:00:00Z".parse().ok(),
        end: "2026-02-03T23:59:59Z".parse().ok(),
        ..world.new_import("AWSLogs/")
    };
    let (_, some) = run(&world, new).await;
    let wanted: Vec<&String> =
        young.iter().filter(|event| event.contains("02-02T") || event.contains("02-03T")).collect();
    assert_eq!(world.table.events().iter().collect::<Vec<_>>(), wanted);
    assert_eq!((some.statistics().prefixes_found, some.statistics().files_completed), (3, 3));
}

#[tokio::test]
async fn each_failure_says_what_it_is_and_takes_nothing_of_its_file() {
    let mut world = World::new().await;
    world.options.file_bytes = 2000;
    world.put_log(&key("us-east-1", "2026/03/01", "good"), 2, "2026-03-01T00:00:00Z").await;
    let good = r#"{"eventTime":"2026-03-01T00:00:00Z"}"#;
    let at = |name: &str| key("us-east-1", "2026/03/01", name);
    world.put(&at("1-plain"), format!("{{\"Records\":[{good}]}}")).await;
    world.put(&at("2-large"), gzip(&format!("{{\"Records\":[{good}]}}{}", " ".repeat(3000)))).await;
    world.put(&at("3-event"), gzip(&format!("{{\"Records\":[{good},{{}}]}}"))).await;
    world.put(&at("4-forbidden"), gzip(&format!("{{\"Records\":[{good}]}}"))).await;
    world.bucket.forbidden.lock().push(at("4-forbidden"));
    let name = format!("AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/03/01/5.json");
    world.put(&name, format!("{{\"Records\":[{good}]}}")).await;
    let (imports, import) = run(&world, world.new_import("")).await;
    assert_eq!((import.status, import.statistics().failed_entries), (ImportStatus::Failed, 5));
    assert_eq!(world.table.events(), world.put);
    let failures = imports.failures(&import.key, "", 10).await.unwrap();
    let kinds: Vec<EntryErrorKind> = failures.iter().map(|failure| failure.error.kind).collect();
    use EntryErrorKind as E;
    assert_eq!(kinds, [E::InvalidFile, E::FileTooLarge, E::InvalidFile, E::AccessDenied, E::InvalidFile]);
    assert!(
        failures.iter().all(|failure| failure.status == FailureStatus::Failed && !failure.error.message.is_empty())
    );
    let second = imports.failures(&import.key, &failures[0].location, 1).await.unwrap();
    assert_eq!(second, failures[1..2]);
}

#[tokio::test]
async fn a_folder_that_may_not_be_listed_is_taken_when_it_may() {
    let mut world = World::new().await;
    for day in 1..=3 {
        for file in 0..3 {
            world
                .put_log(&key("us-east-1", &format!("2026/03/0{day}"), &format!("{file}")), 1, "2026-03-01T00:00:00Z")
                .await;
        }
    }
    let folder = format!("AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/03/02");
    world.bucket.forbidden.lock().push(folder.clone());
    let (imports, import) = run(&world, world.new_import("")).await;
    let statistics = import.statistics();
    assert_eq!((import.status, statistics.prefixes_found, statistics.prefixes_completed), (ImportStatus::Failed, 3, 2));
    let failures = imports.failures(&import.key, "", 10).await.unwrap();
    assert_eq!((failures.len(), failures[0].location.as_str()), (1, format!("{folder}/").as_str()));
    assert_eq!(failures[0].error.kind, EntryErrorKind::AccessDenied);

    imports.retry(&import.key).await.unwrap();
    assert_eq!(ended(&imports, &import.key).await.status, ImportStatus::Failed, "it still may not");
    world.bucket.forbidden.lock().clear();
    imports.retry(&import.key).await.unwrap();
    let statistics = ended(&imports, &import.key).await.statistics();
    assert_eq!((statistics.prefixes_completed, statistics.failed_entries, statistics.files_completed), (3, 0, 9));
    assert_eq!(world.table.events(), world.put);
}

#[tokio::test]
async fn a_bucket_that_fails_ends_the_import_and_loses_nothing() {
    let mut world = World::new().await;
    for file in 0..6 {
        world.put_log(&key("us-east-1", "2026/03/01", &format!("{file}")), 2, "2026-03-01T00:00:00Z").await;
    }
    for broken in
        [key("us-east-1", "2026/03/01", "3"), format!("AWSLogs/{ACCOUNT}/CloudTrail/us-east-1"), "AWSLogs".into()]
    {
        let world = World { table: Arc::default(), put: world.put.clone(), ..World::new().await.with(&world).await };
        world.bucket.broken.lock().push(broken.clone());
        let (imports, import) = run(&world, world.new_import("")).await;
        assert_eq!((import.status, import.statistics().failed_entries), (ImportStatus::Failed, 1), "{broken}");
        let failures = imports.failures(&import.key, "", 10).await.unwrap();
        assert_eq!(failures[0].location.trim_end_matches('/'), broken);
        assert_eq!(failures[0].error.kind, EntryErrorKind::ServiceUnavailable);
        world.bucket.broken.lock().clear();
        imports.retry(&import.key).await.unwrap();
        let import = ended(&imports, &import.key).await;
        assert_eq!((import.status, import.statistics().failed_entries), (ImportStatus::Completed, 0), "{broken}");
        assert_eq!(world.table.events(), world.put, "{broken}");
    }
}

#[tokio::test]
async fn an_import_that_was_stopped_goes_on_where_it_was() {
    let mut world = World::new().await;
    world.options.reading = 1;
    for file in 0..200 {
        world.put_log(&key("us-east-1", "2026/03/01", &format!("{file:03}")), 1, "2026-03-01T00:00:00Z").await;
    }
    let imports = world.open().await;
    let import = world.start(&imports, "").await;
    while imports.find(&import).await.unwrap().statistics().files_completed == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(imports.ongoing(&store().key), Some(import.clone()));
    let other = imports.start("eu-west-1".parse().unwrap(), world.new_import("")).await;
    assert!(matches!(other, Err(ImportError::Ongoing { key }) if key == import));
    assert!(matches!(imports.retry(&import).await, Err(ImportError::Ongoing { .. })));
    let stopped = imports.stop(&import).await.unwrap();
    assert_eq!(stopped.status, ImportStatus::Stopped);
    assert!(stopped.statistics().files_completed < 200);
    assert_eq!(world.table.events().len() as u64, stopped.statistics().events_completed);
    assert_eq!(imports.ongoing(&store().key), None);
    assert!(matches!(imports.stop(&import).await, Err(ImportError::NotOngoing { .. })));
    imports.retry(&import).await.unwrap();
    assert_eq!(ended(&imports, &import).await.status, ImportStatus::Completed);
    assert_eq!(world.table.events(), world.put);
    assert!(matches!(imports.retry(&import).await, Err(ImportError::NotToRetry { .. })));
}

#[tokio::test]
async fn imports_are_listed_newest_first_and_known_by_their_keys() -> Result<(), CatalogError> {
    let world = World::new().await;
    let (imports, first) = run(&world, world.new_import("")).await;
    let second = world.start(&imports, "elsewhere/").await;
    assert_eq!(ended(&imports, &second).await.status, ImportStatus::Completed, "there is nothing, which is no failure");
    let listed = imports.list(first.key.account, &first.key.region).await?;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|import| import.key == first.key) && listed[0].created >= listed[1].created);
    assert!(imports.list(first.key.account, &"eu-west-1".parse().unwrap()).await?.is_empty());
    let unknown = crate::ImportKey { id: uuid::Uuid::nil(), ..first.key };
    assert!(matches!(imports.find(&unknown).await, Err(ImportError::NotFound { .. })));
    Ok(())
}

#[tokio::test]
async fn a_large_file_waits_for_its_turn_without_room() {
    let mut world = World::new().await;
    world.options.window_bytes = 64 << 10;
    for file in 0..20 {
        // Far more than a quarter of the room, and well compressed.
        let count = if file % 5 == 0 { 2000 } else { 3 };
        world.put_log(&key("us-east-1", "2026/03/01", &format!("{file:02}")), count, "2026-03-01T00:00:00Z").await;
    }
    let (_, import) = run(&world, world.new_import("")).await;
    assert_eq!(import.status, ImportStatus::Completed);
    assert_eq!(world.table.events(), world.put);
}
