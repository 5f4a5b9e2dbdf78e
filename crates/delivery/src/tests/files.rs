use std::time::Duration;

use opentrail_model::{AdvancedEventSelector, FieldSelector, SelectorField, Selectors};

use super::world::{HOME, OWNER, World, record, trail};

#[tokio::test]
async fn a_file_holds_the_raw_records_of_one_region_and_stands_at_its_key() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    world.put_trail(&trail("main", "logs")).await;
    world.record(HOME, &["a", "b"]).await;
    world.record("eu-west-1", &["c"]).await;
    world.until_delivered(&["a", "b", "c"]).await;
    let files = world.log_files().await;
    let [(_, europe, _), (_, home, text)] = &files[..] else { panic!("two files, not {files:?}") };
    assert_eq!(*text, format!("{{\"Records\":[{},{}]}}", record("a", HOME), record("b", HOME)));
    let home = home.strip_prefix(&format!("AWSLogs/{OWNER}/CloudTrail/us-east-1/2026/03/04/")).unwrap();
    let suffix = home.strip_prefix(&format!("{OWNER}_CloudTrail_us-east-1_20260304T0507Z_")).unwrap();
    assert_eq!(suffix.len(), 16 + ".json.gz".len());
    assert!(europe.contains("_CloudTrail_eu-west-1_"));
}

#[tokio::test]
async fn only_what_comes_after_the_trail_and_is_no_import_is_delivered() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    world.record(HOME, &["before"]).await;
    world.put_trail(&trail("main", "logs")).await;
    world.import(HOME, "imported").await;
    world.record(HOME, &["after"]).await;
    world.until_delivered(&["after"]).await;
    assert_eq!(world.delivered().await, ["after"]);
}

#[tokio::test]
async fn a_file_is_closed_by_its_age() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    world.put_trail_and_wait(&trail("main", "logs")).await;
    world.record(HOME, &["a"]).await;
    world.clock.advance(world.settings.max_age - Duration::from_millis(1));
    assert!(world.delivered().await.is_empty());
    world.clock.advance(Duration::from_millis(1));
    world.until("the file is there", async || world.delivered().await == ["a"]).await;
}

#[tokio::test]
async fn a_file_is_closed_at_about_its_compressed_size() {
    let mut world = World::new();
    world.settings.max_bytes = 2000;
    world.make_bucket("logs");
    let _life = world.live().await;
    world.put_trail(&trail("main", "logs")).await;
    let ids: Vec<String> = (0..3000).map(|i| format!("{:08x}", i * 2_654_435_761_u64)).collect();
    for chunk in ids.chunks(500) {
        world.record(HOME, &chunk.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    world.until_delivered(&ids).await;
    let mut expected: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    expected.sort();
    assert_eq!(world.delivered().await, expected);
    let records: Vec<usize> =
        world.log_files().await.iter().map(|(_, _, text)| text.matches("eventID").count()).collect();
    assert!(records.len() > 3, "3000 records of about 10 compressed bytes fill several files: {records:?}");
}

#[tokio::test]
async fn records_after_stop_logging_wait_for_no_file() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let mut trail = trail("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["logged"]).await;
    trail.version = 2;
    trail.logging = false;
    world.put_trail(&trail).await;
    world.record(HOME, &["not logged"]).await;
    // No time passes: a stop delivers at once.
    world.until("the rest is delivered", async || world.delivered().await == ["logged"]).await;
    trail.version = 3;
    trail.logging = true;
    world.put_trail(&trail).await;
    world.record(HOME, &["logged again"]).await;
    world.until_delivered(&["logged again"]).await;
    assert_eq!(world.delivered().await, ["logged", "logged again"]);
}

#[tokio::test]
async fn new_selectors_hold_from_their_position_on() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let mut trail = trail("main", "logs");
    let default = trail.selectors.clone();
    let network =
        FieldSelector { equals: vec!["NetworkActivity".into()], ..FieldSelector::of(SelectorField::EventCategory) };
    let other =
        Selectors::Advanced { advanced: vec![AdvancedEventSelector { name: None, field_selectors: vec![network] }] };
    world.put_trail(&trail).await;
    world.record(HOME, &["management wanted"]).await;
    trail.version = 2;
    trail.selectors = other.clone();
    world.put_trail(&trail).await;
    world.record(HOME, &["management unwanted"]).await;
    trail.version = 3;
    trail.selectors = default;
    world.put_trail(&trail).await;
    // The server repeats what it has at each start; an older version changes nothing.
    trail.version = 2;
    trail.selectors = other;
    world.put_trail(&trail).await;
    world.record(HOME, &["wanted again"]).await;
    world.until_delivered(&["management wanted", "wanted again"]).await;
    assert_eq!(world.delivered().await, ["management wanted", "wanted again"]);
}

#[tokio::test]
async fn a_flush_delivers_at_once() {
    let world = World::new();
    world.make_bucket("logs");
    let life = world.live().await;
    world.put_trail_and_wait(&trail("main", "logs")).await;
    world.record(HOME, &["a", "b"]).await;
    life.delivery.flush().await;
    assert_eq!(world.delivered().await, ["a", "b"]);
    life.delivery.flush().await;
}

#[tokio::test]
async fn a_graceful_stop_delivers_what_was_received() {
    let world = World::new();
    world.make_bucket("logs");
    let life = world.live().await;
    world.put_trail_and_wait(&trail("main", "logs")).await;
    world.record(HOME, &["a"]).await;
    world.record("eu-west-1", &["b"]).await;
    life.stop().await;
    assert_eq!(world.delivered().await, ["a", "b"]);
    let life = world.live().await;
    world.record(HOME, &["c"]).await;
    world.until_delivered(&["c"]).await;
    life.stop().await;
    assert_eq!(world.delivered().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_deleted_trail_delivers_its_rest_and_leaves_nothing_behind() {
    let world = World::new();
    world.make_bucket("logs");
    let _life = world.live().await;
    let trail = trail("main", "logs");
    world.put_trail(&trail).await;
    world.record(HOME, &["a"]).await;
    world.delete_trail(&trail).await;
    world.record(HOME, &["b"]).await;
    world.until("the rest is delivered", async || world.delivered().await == ["a"]).await;
    world.until("the worker has ended", async || world.catalog_is_empty().await).await;
    assert_eq!(world.checked_digests(&trail, HOME).await.len(), 1);

    // The same name again is another trail.
    world.record(HOME, &["c"]).await;
    world.put_trail(&trail).await;
    world.record(HOME, &["d"]).await;
    world.until_delivered(&["d"]).await;
    assert_eq!(world.delivered().await, ["a", "d"]);
}
