use super::world::{ELSEWHERE, Fault, HOUR, NOW, World, key, time};

/// A bucket of some folders: files of one chunk, of several, and one that is none.
async fn world() -> World {
    let mut world = World::new();
    world.source.start = crate::Start::At(time("2026-03-10T00:00:00Z"));
    for (region, minute, records) in [
        ("eu-west-1", "2026-03-10T11:50:00Z", 1),
        ("eu-west-1", "2026-03-10T11:55:00Z", 5),
        ("us-east-1", "2026-03-10T11:50:00Z", 2),
        ("us-east-1", "2026-03-10T11:55:00Z", 0),
    ] {
        world.put_log(&key(ELSEWHERE, region, minute, "a"), records, ELSEWHERE).await;
    }
    world.put(&key(ELSEWHERE, "us-east-1", "2026-03-10T11:56:00Z", "bad"), "no gzip").await;
    world
}

/// Follows until all is taken; then a day later, when folders are passed, and once more.
async fn lives(world: &World, case: &str) -> u64 {
    let mut lives = 0;
    loop {
        lives += 1;
        assert!(lives < 10, "{case}: it goes on and on");
        let life = tokio::select! {
            biased;
            () = world.faults.died.notified() => continue,
            life = world.open() => match life {
                Ok(life) => life,
                Err(_) => continue,
            },
        };
        let looks = async {
            for step in [HOUR, 30 * HOUR, HOUR] {
                while life.look().await.is_err() {}
                // Whatever failed is due.
                world.clock.advance(HOUR);
                while life.look().await.is_err() {}
                world.clock.advance(step);
            }
        };
        tokio::select! {
            biased;
            () = world.faults.died.notified() => continue,
            () = looks => return lives,
        }
    }
}

/// Each step in turn goes wrong in each way: in the end every record is there once, byte for byte, and the documents
/// are what they would have been. The process that comes after one that died knows no record: nothing but marks tells
/// what is taken.
#[tokio::test]
async fn no_step_that_fails_or_ends_the_process_loses_or_doubles_anything() {
    let steps = {
        let world = world().await;
        world.faults.plan(u64::MAX, Fault::Lost);
        lives(&world, "no fault").await;
        world.faults.clear()
    };
    assert!(steps > 15, "{steps}");
    for step in 1..=steps {
        for fault in [Fault::Lost, Fault::KeptButFailed, Fault::DiesBefore, Fault::DiesAfter] {
            let case = format!("step {step} of {steps}, {fault:?}");
            let world = world().await;
            world.faults.plan(step, fault);
            let lived = lives(&world, &case).await;
            let died = matches!(fault, Fault::DiesBefore | Fault::DiesAfter);
            assert!(!died || lived > 1, "{case}: it did not die");
            assert_eq!(world.raw().await, world.put, "{case}");
            let life = world.open().await.unwrap();
            let report = world.report(&life).await;
            assert_eq!((report.counts.files, report.counts.records), (4, 8), "{case}");
            assert_eq!((report.counts.duplicates, report.counts.refused), (0, 0), "{case}");
            let bytes: usize = world.put.iter().map(String::len).sum();
            assert_eq!(report.counts.bytes, bytes as u64, "{case}");
            assert_eq!(report.newest, Some(time("2026-03-10T11:55:00Z")), "{case}");
            assert_eq!(report.failures.len(), 1, "{case}");
            assert_eq!(world.documents(crate::documents::FILES).await, 0, "{case}: all folders are passed");
        }
    }
    assert!(time(NOW) < time("2026-03-11T00:00:00Z"));
}
