use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::world::Hasty;
use crate::{Cursor, Scope, Step, Walk, Window};

const KEYS: [&str; 12] = [
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2024/01/02/a.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1-x/2024/01/02/a.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/01/a.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/01/b/c.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/02/a.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/loose.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2024/12/31/a.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/backup/2020/x.json.gz",
    "AWSLogs/444455556666/CloudTrail/us-east-1/2024/01/01/a.json.gz",
    "AWSLogs/o-abcdefghij/777788889999/CloudTrail/us-east-1/2024/01/01/a.json.gz",
    "team/a/AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/01/a.json.gz",
    "team/b/CloudTrail/us-east-1/2024/01/01/a.json.gz",
];
const OTHERS: [&str; 5] = [
    "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2024/01/01/d.json.gz",
    "AWSLogs/111122223333/CloudTrail-Insight/us-east-1/2024/01/01/i.json.gz",
    "AWSLogs/111122223333/Config/us-east-1/2024/01/01/c.json.gz",
    "AWSLogs/aws-waf-logs/CloudFront/x.gz",
    "team/readme.txt",
];

async fn walk() -> Walk {
    let store = InMemory::new();
    for key in KEYS.iter().chain(&OTHERS) {
        store.put(&Path::from(*key), "x".into()).await.unwrap();
    }
    Walk::new(Arc::new(store), Window::default(), Hasty::new(), Duration::ZERO)
}

async fn steps(walk: &Walk, root: &str, after: Option<Cursor>) -> Vec<Step> {
    let scope = walk.scope(root).await.unwrap();
    walk.steps(root, scope, after, Arc::default()).collect().await
}

fn keys(steps: &[Step]) -> Vec<&str> {
    let found = steps.iter().filter_map(|step| match step {
        Step::Object(object) => Some(object.key.as_str()),
        Step::Done(_) => None,
        other => panic!("{other:?}"),
    });
    found.collect()
}

#[tokio::test]
async fn log_files_and_nothing_else_come_in_the_order_of_their_keys() {
    let walk = walk().await;
    assert_eq!(keys(&steps(&walk, "", None).await), KEYS);
    assert_eq!(keys(&steps(&walk, "AWSLogs/", None).await), KEYS[..10]);
    assert_eq!(keys(&steps(&walk, "AWSLogs/111122223333/", None).await), KEYS[..8]);
    assert_eq!(keys(&steps(&walk, "AWSLogs/111122223333/CloudTrail/us-east-1/", None).await), KEYS[2..8]);
    assert_eq!(keys(&steps(&walk, "AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/01/", None).await), KEYS[2..4]);
    assert_eq!(keys(&steps(&walk, "team/", None).await), KEYS[10..]);
    // Somebody keeps log files elsewhere.
    assert_eq!(walk.scope("AWSLogs/111122223333/Config/").await, Ok(Scope::Everything), "who asks for it gets it");
    assert_eq!(walk.scope("AWSLogs/999988887777/").await, Ok(Scope::Logs), "an account without log files has none");
    assert_eq!(keys(&steps(&walk, "AWSLogs/aws-waf-logs/", None).await), OTHERS[3..4]);
}

#[tokio::test]
async fn a_walk_goes_on_behind_whatever_it_came_to() {
    let walk = walk().await;
    for root in ["", "AWSLogs/111122223333/CloudTrail/us-east-1/"] {
        let all = steps(&walk, root, None).await;
        let folders = all.iter().filter(|step| matches!(step, Step::Done(_))).count() as u64;
        let mut passed = 0;
        for (at, step) in all.iter().enumerate() {
            let after = match step {
                Step::Object(object) => Cursor::Key(object.key.clone()),
                Step::Done(folder) => Cursor::Folder(folder.clone()),
                other => panic!("{other:?}"),
            };
            passed += u64::from(matches!(step, Step::Done(_)));
            let found = Arc::new(AtomicU64::new(passed));
            let rest: Vec<Step> =
                walk.steps(root, Scope::Logs, Some(after.clone()), Arc::clone(&found)).collect().await;
            assert_eq!(rest, all[at + 1..], "{after:?}");
            assert_eq!(found.load(Ordering::Relaxed), folders, "{after:?}");
        }
    }
}

#[tokio::test]
async fn folders_of_more_than_a_page_are_listed_whole() {
    let store = InMemory::new();
    let key = |n: usize| format!("AWSLogs/111122223333/CloudTrail/us-east-1/2024/01/01/{n:05}.json.gz");
    for n in 0..2500 {
        store.put(&Path::from(key(n)), "x".into()).await.unwrap();
    }
    let walk = Walk::new(Arc::new(store) as Arc<dyn ObjectStore>, Window::default(), Hasty::new(), Duration::ZERO);
    let expected: Vec<String> = (0..2500).map(key).collect();
    assert_eq!(keys(&steps(&walk, "", None).await), expected);
    let some = steps(&walk, "", Some(Cursor::Key(key(999)))).await;
    assert_eq!(keys(&some), expected[1000..]);
}
