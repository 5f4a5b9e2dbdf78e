use super::world::{Fault, World, ended, key};
use crate::{FailureStatus, ImportStatus};

/// A bucket of some days and Regions, with a file that is none.
async fn world() -> World {
    let mut world = World::new().await;
    for (region, day, files) in
        [("eu-west-1", "2026/03/01", 3), ("us-east-1", "2026/03/01", 2), ("us-east-1", "2026/03/02", 2)]
    {
        for file in 0..files {
            world.put_log(&key(region, day, &format!("{file}")), 2 + file, "2026-03-01T10:00:00Z").await;
        }
    }
    world.put(&key("us-east-1", "2026/03/01", "bad"), "no gzip").await;
    world
}

/// Each durable step of an import and of its retry, in turn, goes wrong in each way: in the end every event is there once, and
/// the statistics are what they would have been.
#[tokio::test]
async fn no_step_that_fails_or_ends_the_process_loses_or_doubles_anything() {
    let steps = {
        let world = world().await;
        let imports = world.open().await;
        world.faults.plan(u64::MAX, Fault::Lost);
        let key = world.start(&imports, "").await;
        ended(&imports, &key).await;
        world.faults.clear()
    };
    assert!(steps > 10, "{steps}");
    for step in 2..=steps {
        for fault in [Fault::Lost, Fault::KeptButFailed, Fault::DiesBefore, Fault::DiesAfter] {
            let case = format!("step {step} of {steps}, {fault:?}");
            let mut world = world().await;
            let mut imports = world.open().await;
            world.faults.plan(step, fault);
            let import = world.start(&imports, "").await;
            if matches!(fault, Fault::DiesBefore | Fault::DiesAfter) {
                world.faults.died.notified().await;
                world.faults.clear();
                imports = world.open().await;
            }
            let first = ended(&imports, &import).await;
            assert_eq!(first.status, ImportStatus::Failed, "{case}");
            assert_eq!(world.table.events(), world.put, "{case}");
            let statistics = first.statistics();
            assert_eq!((statistics.prefixes_found, statistics.prefixes_completed), (3, 3), "{case}");
            assert_eq!(
                (statistics.files_completed, statistics.events_completed),
                (7, world.put.len() as u64),
                "{case}"
            );
            assert_eq!(statistics.failed_entries, 1, "{case}");

            // Mended, the file is taken when the import is tried again, and nothing else is.
            world.put_log(&key("us-east-1", "2026/03/01", "bad"), 3, "2026-03-01T11:00:00Z").await;
            imports.retry(&import).await.unwrap();
            let second = ended(&imports, &import).await;
            assert_eq!((second.status, second.statistics().failed_entries), (ImportStatus::Completed, 0), "{case}");
            assert_eq!(world.table.events(), world.put, "{case}");
            let failures = imports.failures(&import, "", 10).await.unwrap();
            assert_eq!(failures.len(), 1, "{case}");
            assert_eq!(failures[0].status, FailureStatus::Succeeded, "{case}");
        }
    }
}

/// The same while what failed is tried again.
#[tokio::test]
async fn a_retry_that_dies_goes_on_with_what_it_had_not_tried() {
    for step in 1.. {
        let mut world = world().await;
        for n in 0..4 {
            world.put(&key("us-west-2", "2026/03/01", &format!("bad{n}")), "no gzip").await;
        }
        let imports = world.open().await;
        let import = world.start(&imports, "").await;
        assert_eq!(ended(&imports, &import).await.statistics().failed_entries, 5);
        for n in 0..4 {
            world.put_log(&key("us-west-2", "2026/03/01", &format!("bad{n}")), 4, "2026-03-01T11:00:00Z").await;
        }
        world.faults.plan(step, Fault::DiesAfter);
        let retried = {
            let (imports, import) = (imports.clone(), import.clone());
            async move { imports.retry(&import).await.unwrap() }
        };
        let finished = async {
            retried.await;
            ended(&imports, &import).await;
        };
        let died = tokio::select! {
            () = finished => false,
            () = world.faults.died.notified() => true,
        };
        world.faults.clear();
        let imports = if died { world.open().await } else { imports };
        let ended = ended(&imports, &import).await;
        assert_eq!(world.table.events(), world.put, "step {step}");
        assert_eq!(ended.statistics().failed_entries, 1, "step {step}");
        assert_eq!(ended.statistics().events_completed, world.put.len() as u64, "step {step}");
        if !died {
            assert!(step > 4, "{step}");
            return;
        }
    }
}
