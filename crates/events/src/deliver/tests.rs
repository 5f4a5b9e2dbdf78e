use std::net::SocketAddr;
use std::time::Duration;

use opentrail_runtime::{OnError, Shutdown, TaskGroup};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Couriers, DeliveryFailure};
use crate::tests::{Got, OTHER_TOPIC, QUEUE, TOPIC, World, topic, world};

/// Couriers that run until they are stopped.
struct Running {
    group: TaskGroup,
}

impl Running {
    fn start(world: &World) -> Self {
        let group = TaskGroup::new(Shutdown::new());
        let couriers = Couriers::new(std::sync::Arc::clone(&world.events));
        group.spawn("couriers", OnError::Log, couriers.run(group.shutdown().clone()));
        Self { group }
    }

    async fn stop(self) {
        self.group.shutdown().begin();
        self.group.join(Duration::from_secs(30)).await;
    }
}

async fn next(world: &mut World) -> Got {
    world.got.recv().await.unwrap()
}

/// Lets the couriers settle: until the outbox holds `pending`.
async fn until_pending(world: &World, pending: u64) {
    while world.events.outbox.pending() != pending {
        tokio::task::yield_now().await;
    }
}

/// Moves the clock on to when the queue's next retry is due; not while something is due already.
async fn pass(world: &World, queue: &str) {
    let now = opentrail_runtime::Clock::now(&*world.clock);
    let due = world.events.outbox.due(queue, now, 1).await.unwrap();
    if let Some(next) = due.next {
        world.clock.set(next);
    }
    tokio::task::yield_now().await;
}

/// What the topic gets once the clock has come to its retry.
async fn next_after_waiting(world: &mut World) -> Got {
    loop {
        if let Ok(got) = world.got.try_recv() {
            return got;
        }
        pass(world, TOPIC).await;
    }
}

fn fails(world: &World, arn: &str, failure: DeliveryFailure) {
    world.scripted.failures.lock().push((arn.to_owned(), failure));
}

#[tokio::test]
async fn what_rules_take_arrives_and_leaves_the_outbox() {
    let mut world = world().await;
    world.rule("r", json!({ "source": ["shop"] }), topic()).await;
    world.rule("s", json!({ "source": ["shop"] }), json!({ "Id": "t", "Arn": TOPIC, "Input": "[1]" })).await;
    let running = Running::start(&world);
    world.put("shop", json!({ "n": 1 })).await;
    let mut payloads = [next(&mut world).await.1, next(&mut world).await.1];
    payloads.sort_by_key(Value::is_array);
    assert_eq!((&payloads[0]["detail"], &payloads[1]), (&json!({ "n": 1 }), &json!([1])));
    until_pending(&world, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn a_target_that_hangs_holds_up_nobody_else_and_loses_nothing() {
    let mut world = world().await;
    world.rule("hangs", json!({ "source": ["shop"] }), json!({ "Id": "t", "Arn": OTHER_TOPIC })).await;
    world.rule("works", json!({ "source": ["shop"] }), topic()).await;
    let running = Running::start(&world);
    for n in 0..20 {
        world.put("shop", json!({ "n": n })).await;
    }
    for _ in 0..20 {
        assert_eq!(next(&mut world).await.0, TOPIC);
    }
    until_pending(&world, 20).await;
    running.group.shutdown().begin();
    // What hangs is given a while at the shutdown, and then dropped.
    loop {
        tokio::select! {
            biased;
            () = running.group.join(Duration::from_secs(30)) => break,
            () = tokio::task::yield_now() => world.clock.advance(Duration::from_secs(1)),
        }
    }
    let world = world.crashed().await;
    assert_eq!(world.waiting(OTHER_TOPIC).await.len(), 20);
}

#[tokio::test]
async fn a_failure_is_tried_again_and_a_crash_in_between_forgets_nothing() {
    let mut world = world().await;
    world.rule("r", json!({ "source": ["shop"] }), topic()).await;
    fails(&world, TOPIC, DeliveryFailure::later("TIMEOUT", "slow"));
    let running = Running::start(&world);
    world.put("shop", json!({})).await;
    let first = next(&mut world).await;
    while world.waiting(TOPIC).await.len() == 1 {
        tokio::task::yield_now().await;
    }
    running.stop().await;

    let mut world = world.crashed().await;
    fails(&world, TOPIC, DeliveryFailure::later("TIMEOUT", "slow"));
    let running = Running::start(&world);
    assert_eq!(next_after_waiting(&mut world).await, first);
    assert_eq!(next_after_waiting(&mut world).await, first);
    until_pending(&world, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_given_up_goes_to_the_dead_letter_queue_and_says_why() {
    let mut world = world().await;
    let retry = json!({ "MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60 });
    let target = json!({ "Id": "t", "Arn": TOPIC, "DeadLetterConfig": { "Arn": QUEUE }, "RetryPolicy": retry });
    world.rule("r", json!({ "source": ["shop"] }), target).await;
    fails(&world, TOPIC, DeliveryFailure::never("NO_PERMISSIONS", "no"));
    let running = Running::start(&world);
    world.put("shop", json!({ "n": 1 })).await;
    next(&mut world).await;
    let (arn, payload, attributes) = next(&mut world).await;
    assert_eq!((&*arn, &payload["detail"]), (QUEUE, &json!({ "n": 1 })));
    let expected = [
        ("RULE_ARN", "arn:aws:events:eu-west-1:111122223333:rule/r"),
        ("TARGET_ARN", TOPIC),
        ("ERROR_CODE", "NO_PERMISSIONS"),
        ("ERROR_MESSAGE", "no"),
        ("RETRY_ATTEMPTS", "0"),
    ];
    assert_eq!(attributes, expected.map(|(name, value)| (name, value.to_owned())));
    until_pending(&world, 0).await;

    for _ in 0..2 {
        fails(&world, TOPIC, DeliveryFailure::later("TIMEOUT", "slow"));
    }
    world.put("shop", json!({})).await;
    for _ in 0..2 {
        assert_eq!(next_after_waiting(&mut world).await.0, TOPIC);
    }
    let (arn, _, attributes) = next(&mut world).await;
    assert_eq!(arn, QUEUE);
    assert!(attributes.contains(&("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts".to_owned())));
    assert!(attributes.contains(&("RETRY_ATTEMPTS", "1".to_owned())));
    until_pending(&world, 0).await;
    running.stop().await;
}

#[tokio::test]
async fn what_waits_too_long_for_a_target_that_fails_goes_untried() {
    let mut world = world().await;
    let retry = json!({ "MaximumRetryAttempts": 9, "MaximumEventAgeInSeconds": 60 });
    let target = json!({ "Id": "t", "Arn": TOPIC, "DeadLetterConfig": { "Arn": QUEUE }, "RetryPolicy": retry });
    world.rule("r", json!({ "source": ["shop"] }), target).await;
    for n in 0..20 {
        world.put("shop", json!({ "n": n })).await;
    }
    // The server was down, or the target: each is too old, and is tried until it is known that the target fails.
    world.clock.advance(Duration::from_secs(61));
    for _ in 0..8 {
        fails(&world, TOPIC, DeliveryFailure::later("TIMEOUT", "slow"));
    }
    let running = Running::start(&world);
    let (mut tried, mut letters) = (0, 0);
    while letters < 20 {
        let (arn, _, attributes) = next(&mut world).await;
        if arn == TOPIC {
            tried += 1;
            continue;
        }
        letters += 1;
        assert!(attributes.contains(&("EXHAUSTED_RETRY_CONDITION", "MaximumEventAgeInSeconds".to_owned())));
        assert!(attributes.contains(&("ERROR_CODE", "TIMEOUT".to_owned())));
    }
    assert_eq!(tried, 8);
    until_pending(&world, 0).await;
    // A target that works again gets what is new, and what is old is tried again.
    world.put("shop", json!({ "n": 20 })).await;
    assert_eq!(next(&mut world).await.0, TOPIC);
    until_pending(&world, 0).await;
    running.stop().await;
    let counted = world.events.outbox.counts().take();
    let counted: Vec<_> = counted.iter().map(|count| (count.metric, count.count)).collect();
    assert_eq!(counted, [("FailedInvocations", 20), ("Invocations", 21), ("InvocationsSentToDlq", 20)]);
}

#[tokio::test]
async fn counts_are_handed_on_and_the_last_at_the_shutdown() {
    #[derive(Debug)]
    struct Kept(mpsc::UnboundedSender<Vec<crate::RuleCount>>);

    #[async_trait::async_trait]
    impl crate::RuleMetrics for Kept {
        async fn keep(&self, counts: Vec<crate::RuleCount>) -> Result<(), String> {
            self.0.send(counts).map_err(|error| error.to_string())
        }
    }

    let mut world = world().await;
    world.rule("r", json!({ "source": ["shop"] }), topic()).await;
    let running = Running::start(&world);
    let (tell, mut told) = mpsc::unbounded_channel();
    let handing = std::sync::Arc::clone(&world.events);
    let handing = handing.hand_on_counts(std::sync::Arc::new(Kept(tell)), running.group.shutdown().clone());
    running.group.spawn("counts", OnError::Log, handing);
    world.put("shop", json!({})).await;
    next(&mut world).await;
    until_pending(&world, 0).await;
    let first = loop {
        tokio::select! {
            biased;
            first = told.recv() => break first.unwrap(),
            () = tokio::task::yield_now() => world.clock.advance(Duration::from_secs(1)),
        }
    };
    assert_eq!((first.len(), &*first[0].rule, &*first[0].bus, first[0].metric), (1, "r", "default", "Invocations"));
    world.put("shop", json!({})).await;
    next(&mut world).await;
    until_pending(&world, 0).await;
    running.stop().await;
    assert_eq!(told.recv().await.unwrap()[0].count, 1);
}

#[tokio::test]
async fn events_go_on_over_buses_and_circles_end() {
    let mut world = world().await;
    let bus = |name: &str| format!("arn:aws:events:eu-west-1:111122223333:event-bus/{name}");
    world.call("CreateEventBus", json!({ "Name": "b" })).await;
    world.rule("there", json!({ "source": ["shop"] }), json!({ "Id": "t", "Arn": bus("b") })).await;
    let pattern = r#"{"source":["shop"]}"#;
    world.call("PutRule", json!({ "Name": "back", "EventBusName": "b", "EventPattern": pattern })).await;
    let targets = json!([{ "Id": "t", "Arn": bus("default") }, topic_with("u")]);
    world.call("PutTargets", json!({ "Rule": "back", "EventBusName": "b", "Targets": targets })).await;
    let running = Running::start(&world);
    world.put("shop", json!({ "n": 1 })).await;
    // To b, back, to b, back, to b: three times past the topic.
    for _ in 0..3 {
        assert_eq!(next(&mut world).await.1["detail"], json!({ "n": 1 }));
    }
    until_pending(&world, 0).await;
    assert!(world.got.try_recv().is_err());
    running.stop().await;
}

fn topic_with(id: &str) -> Value {
    json!({ "Id": id, "Arn": TOPIC })
}

/// A server that answers with what it is told to, and tells what it was asked.
struct Endpoint {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<String>,
    group: TaskGroup,
}

impl Endpoint {
    /// Gives these answers one after the other, then 200. Each is a status, headers and a body.
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = mpsc::unbounded_channel();
        let group = TaskGroup::new(Shutdown::new());
        let shutdown = group.shutdown().clone();
        group.spawn("endpoint", OnError::Log, async move {
            for turn in 0.. {
                let (mut stream, _) = tokio::select! {
                    () = shutdown.begun() => return Ok::<(), std::io::Error>(()),
                    accepted = listener.accept() => accepted?,
                };
                let request = read(&mut stream).await?;
                let answer = answers.get(turn).map_or("200 OK\r\n\r\n", |answer| *answer);
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                let reply =
                    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(reply.as_bytes()).await?;
                stream.shutdown().await?;
                tell.send(request).unwrap();
            }
            Ok(())
        });
        Self { address, asked, group }
    }

    async fn next(&mut self) -> String {
        self.asked.recv().await.unwrap()
    }

    async fn stop(self) {
        self.group.shutdown().begin();
        self.group.join(Duration::from_secs(30)).await;
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> std::io::Result<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(String::from_utf8_lossy(&request).into_owned());
            }
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(String::from_utf8_lossy(&request).into_owned());
        }
    }
}

/// An API destination at the endpoint, as the target of a rule.
async fn hook(world: &World, endpoint: SocketAddr, kind: &str, parameters: Value) -> String {
    let input = json!({ "Name": "c", "AuthorizationType": kind, "AuthParameters": parameters });
    let connection = world.call("CreateConnection", input).await["ConnectionArn"].clone();
    let url = format!("http://{endpoint}/hooks/*");
    let input = json!({ "Name": "d", "ConnectionArn": connection, "InvocationEndpoint": url, "HttpMethod": "POST" });
    let destination = world.call("CreateApiDestination", input).await["ApiDestinationArn"].clone();
    let target = json!({ "Id": "t", "Arn": destination, "HttpParameters": { "PathParameterValues": ["a b"] } });
    world.rule("r", json!({ "source": ["shop"] }), target).await;
    destination.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_api_destination_is_asked_again_until_it_takes_the_event() {
    let mut endpoint = Endpoint::start(&["500 Broken\r\n\r\n", "429 Slow\r\nretry-after: 30\r\n\r\n"]).await;
    let world = world().await;
    let key = json!({ "ApiKeyAuthParameters": { "ApiKeyName": "X-Key", "ApiKeyValue": "s3cret" } });
    let queue = hook(&world, endpoint.address, "API_KEY", key).await;
    let running = Running::start(&world);
    world.put("shop", json!({ "n": 1 })).await;
    for _ in 0..3 {
        let request = loop {
            tokio::select! {
                biased;
                request = endpoint.next() => break request,
                () = pass(&world, &queue) => {}
            }
        };
        assert!(request.starts_with("POST /hooks/a%20b HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("x-key: s3cret\r\n"), "{request}");
        let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(body["detail"], json!({ "n": 1 }));
    }
    until_pending(&world, 0).await;
    running.stop().await;
    endpoint.stop().await;
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_not_taken() {
    const TOKEN: &str =
        "200 OK\r\ncontent-type: application/json\r\n\r\n{\"access_token\":\"t0ken\",\"expires_in\":3600}";
    let mut tokens = Endpoint::start(&[TOKEN, TOKEN]).await;
    let mut endpoint = Endpoint::start(&["200 OK\r\n\r\n", "200 OK\r\n\r\n", "401 No\r\n\r\n"]).await;
    let world = world().await;
    let client = json!({ "ClientID": "us", "ClientSecret": "s3cret" });
    let url = format!("http://{}/token", tokens.address);
    let oauth = json!({ "OAuthParameters": { "ClientParameters": client, "AuthorizationEndpoint": url, "HttpMethod": "POST" } });
    let queue = hook(&world, endpoint.address, "OAUTH_CLIENT_CREDENTIALS", oauth).await;
    let running = Running::start(&world);
    for n in 0..3 {
        world.put("shop", json!({ "n": n })).await;
        // The pace of 300 a second is kept by the clock.
        world.clock.advance(Duration::from_millis(10));
        let request = endpoint.next().await;
        assert!(request.contains("authorization: Bearer t0ken\r\n"), "{request}");
    }
    let asked = tokens.next().await;
    assert!(asked.starts_with("POST /token "), "{asked}");
    assert!(asked.contains("authorization: Basic dXM6czNjcmV0\r\n"), "{asked}");
    assert!(asked.ends_with("grant_type=client_credentials"), "{asked}");
    assert!(tokens.asked.try_recv().is_err(), "the token is kept");
    loop {
        tokio::select! {
            biased;
            _ = endpoint.next() => break,
            () = pass(&world, &queue) => {}
        }
    }
    tokens.next().await;
    until_pending(&world, 0).await;
    running.stop().await;
    tokens.stop().await;
    endpoint.stop().await;
}

#[tokio::test]
async fn the_rate_of_an_api_destination_is_kept() {
    let mut endpoint = Endpoint::start(&[]).await;
    let world = world().await;
    let key = json!({ "ApiKeyAuthParameters": { "ApiKeyName": "X-Key", "ApiKeyValue": "s3cret" } });
    hook(&world, endpoint.address, "API_KEY", key).await;
    world.call("UpdateApiDestination", json!({ "Name": "d", "InvocationRateLimitPerSecond": 2 })).await;
    for n in 0..5 {
        world.put("shop", json!({ "n": n })).await;
    }
    let begun = opentrail_runtime::Clock::now(&*world.clock);
    let running = Running::start(&world);
    for _ in 0..5 {
        loop {
            tokio::select! {
                biased;
                _ = endpoint.next() => break,
                () = tokio::task::yield_now() => world.clock.advance(Duration::from_millis(1)),
            }
        }
    }
    let took = opentrail_runtime::Clock::now(&*world.clock).since(begun);
    assert!(took >= Duration::from_secs(2), "{took:?}");
    until_pending(&world, 0).await;
    running.stop().await;
    endpoint.stop().await;
}
