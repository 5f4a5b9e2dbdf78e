use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentrail_catalog::MemoryCatalog;
use opentrail_identity::{AccessKeySpec, AccountSpec, Call, Directory, PolicySpec, Principal, Secret, UserSpec};
use opentrail_keys::KeyRing;
use opentrail_model::{AccountId, Region, Timestamp};
use opentrail_runtime::{ManualClock, SystemRandom};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::key::{DAY, KeyState, Rotation};
use crate::{Conditions, EncryptionContext, Kms, KmsError, Requester, api};

const NOW: Timestamp = Timestamp::from_secs(1_767_323_045);

pub(crate) struct World {
    pub(crate) kms: Kms,
    clock: Arc<ManualClock>,
    directory: Arc<Directory>,
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

pub(crate) fn world() -> World {
    let mut ours = AccountSpec::new(account());
    ours.root_access_keys = vec![AccessKeySpec::new("AKIAROOT", Secret::new("s".to_owned()))];
    let mut alice = UserSpec::new("alice");
    alice.access_keys = vec![AccessKeySpec::new("AKIAALICE", Secret::new("s".to_owned()))];
    let statement = json!({ "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*" });
    let policy = json!({ "Version": "2012-10-17", "Statement": statement });
    alice.policies = vec![PolicySpec(policy.to_string())];
    ours.users = vec![alice];
    let directory = Arc::new(Directory::new(vec![ours]).unwrap());
    let clock = Arc::new(ManualClock::new(NOW));
    let random = Arc::new(SystemRandom);
    let ring = Arc::new(KeyRing::ephemeral(random.clone()));
    let catalog = Arc::new(MemoryCatalog::default());
    World { kms: Kms::new(catalog, ring, directory.clone(), clock.clone(), random), clock, directory }
}

/// A call with this access key.
pub(crate) fn call(world: &World, key: &str) -> Call {
    Call {
        principal: world.principal(key),
        region: region(),
        request_id: "id".to_owned(),
        source_ip: "192.0.2.1".parse().unwrap(),
        secure_transport: true,
        user_agent: None,
    }
}

impl World {
    fn principal(&self, key: &str) -> Principal {
        self.directory.find_key(key, None, NOW).unwrap().principal
    }

    /// Status and answer of a call.
    async fn call_as(&self, key: &str, operation: &str, input: Value) -> (u16, Value, Vec<Value>) {
        let call = call(self, key);
        let mut headers = http::HeaderMap::new();
        headers.insert("x-amz-target", format!("TrentService.{operation}").parse().unwrap());
        let reply = api(&self.kms, &call, &headers, &input.to_string().into()).await;
        let body = serde_json::from_slice(reply.response.body()).unwrap_or(Value::Null);
        (reply.response.status().as_u16(), body, reply.resources)
    }

    /// The root's call, which succeeds.
    async fn call(&self, operation: &str, input: Value) -> Value {
        let (status, body, _) = self.call_as("AKIAROOT", operation, input).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    /// The name of the error of the root's call.
    async fn refused(&self, operation: &str, input: Value) -> String {
        self.call_as("AKIAROOT", operation, input).await.1["__type"].as_str().unwrap_or_default().to_owned()
    }

    async fn new_key(&self) -> String {
        self.call("CreateKey", json!({})).await["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn what_was_encrypted_before_rotations_decrypts_after_them() {
    let world = world();
    let key = world.new_key().await;
    let mut sealed = Vec::new();
    for round in 0..3 {
        let input =
            json!({ "KeyId": key, "Plaintext": "c2VjcmV0", "EncryptionContext": { "round": round.to_string() } });
        sealed.push(world.call("Encrypt", input).await["CiphertextBlob"].clone());
        world.call("RotateKeyOnDemand", json!({ "KeyId": key })).await;
    }
    let mut materials = Vec::new();
    for (round, blob) in sealed.iter().enumerate() {
        let input = json!({ "CiphertextBlob": blob, "EncryptionContext": { "round": round.to_string() } });
        let opened = world.call("Decrypt", input).await;
        assert_eq!(opened["Plaintext"], "c2VjcmV0");
        materials.push(opened["KeyMaterialId"].clone());
        let other = json!({ "CiphertextBlob": blob, "EncryptionContext": { "round": "9" } });
        assert_eq!(world.refused("Decrypt", other).await, "InvalidCiphertextException");
    }
    materials.dedup();
    assert_eq!(materials.len(), 3, "each round had its own material");
    let listed = world.call("ListKeyRotations", json!({ "KeyId": key })).await;
    assert_eq!(listed["Rotations"].as_array().unwrap().len(), 3);
    assert_eq!(listed["Rotations"][2]["KeyMaterialState"], "CURRENT");
}

#[tokio::test]
async fn a_key_policy_decides_and_leaves_the_rest_to_the_account() {
    let world = world();
    let key = world.new_key().await;
    let blob = world.call("Encrypt", json!({ "KeyId": key, "Plaintext": "AA==" })).await["CiphertextBlob"].clone();
    // The default policy leaves it to the account, whose policies let Alice decrypt and not encrypt.
    let (status, ..) = world.call_as("AKIAALICE", "Decrypt", json!({ "CiphertextBlob": blob })).await;
    assert_eq!(status, 200);
    let (status, body, resources) =
        world.call_as("AKIAALICE", "Encrypt", json!({ "KeyId": key, "Plaintext": "AA==" })).await;
    assert_eq!((status, body["__type"].as_str()), (400, Some("AccessDeniedException")));
    let message = body["message"].as_str().unwrap();
    assert!(message.ends_with("because no identity-based policy allows the kms:Encrypt action"), "{message}");
    assert_eq!(resources[0]["type"], "AWS::KMS::Key");
    assert_eq!(resources[0]["ARN"], format!("arn:aws:kms:eu-west-1:111122223333:key/{key}"));
    // A policy that shuts its writer out is refused, and one that names nobody else keeps Alice out.
    let statement = |principal: &str, action: &str| json!({ "Effect": "Allow", "Principal": { "AWS": principal }, "Action": action, "Resource": "*" });
    let policy = |statements: Value| json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let alice = "arn:aws:iam::111122223333:user/alice";
    let shut_out = policy(json!([statement(alice, "kms:*")]));
    let input = json!({ "KeyId": key, "Policy": shut_out });
    assert_eq!(world.refused("PutKeyPolicy", input).await, "MalformedPolicyDocumentException");
    assert_eq!(
        world.refused("PutKeyPolicy", json!({ "KeyId": key, "Policy": "{" })).await,
        "MalformedPolicyDocumentException"
    );
    let mut managing = statement("arn:aws:iam::111122223333:root", "kms:*");
    managing["Condition"] = json!({ "ArnEquals": { "aws:PrincipalArn": "arn:aws:iam::111122223333:root" } });
    let encrypting = statement(alice, "kms:Encrypt");
    world.call("PutKeyPolicy", json!({ "KeyId": key, "Policy": policy(json!([managing, encrypting])) })).await;
    let (status, body, _) = world.call_as("AKIAALICE", "Decrypt", json!({ "CiphertextBlob": blob })).await;
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().contains("no resource-based policy allows"), "{body}");
    let (status, ..) = world.call_as("AKIAALICE", "Encrypt", json!({ "KeyId": key, "Plaintext": "AA==" })).await;
    assert_eq!(status, 200, "named by the key's policy, she needs none of her own");
}

#[tokio::test]
async fn a_service_may_what_the_key_policy_says_of_its_encryption_context() {
    let world = world();
    let statement = json!([
        { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" }, "Action": "kms:*", "Resource": "*" },
        {
            "Effect": "Allow",
            "Principal": { "Service": "cloudtrail.amazonaws.com" },
            "Action": "kms:GenerateDataKey*",
            "Resource": "*",
            "Condition": {
                "StringEquals": { "aws:SourceArn": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main" },
                "StringLike": { "kms:EncryptionContext:aws:cloudtrail:arn": "arn:aws:cloudtrail:*:111122223333:trail/*" }
            }
        }
    ]);
    let policy = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
    let made = world.call("CreateKey", json!({ "Policy": policy })).await;
    let key = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let trail = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main";
    let ask = async |name: &str, source: &str, encryption: &EncryptionContext| {
        let conditions = Conditions::new().with("aws:SourceArn", source);
        let requester = Requester::Service { name, conditions: &conditions };
        world.kms.generate_data_key(requester, (key, account(), &region()), encryption).await
    };
    let encryption = context(&[("aws:cloudtrail:arn", trail)]);
    let made = ask("cloudtrail.amazonaws.com", trail, &encryption).await.unwrap();
    for (name, source, encryption) in [
        ("config.amazonaws.com", trail, &encryption),
        ("cloudtrail.amazonaws.com", "arn:aws:cloudtrail:eu-west-1:111122223333:trail/other", &encryption),
        ("cloudtrail.amazonaws.com", trail, &context(&[])),
    ] {
        let refused = ask(name, source, encryption).await.unwrap_err();
        assert!(matches!(refused, KmsError::AccessDenied(_)), "{name} {source}: {refused}");
    }
    let root = world.principal("AKIAROOT");
    let conditions = Conditions::new();
    let requester = Requester::Caller { principal: &root, conditions: &conditions, via: Some("s3") };
    let opened = world.kms.open_data_key(requester, &made.sealed, &encryption).await.unwrap();
    assert_eq!(opened.expose(), made.plaintext.expose());
    let refused = world.kms.open_data_key(requester, &made.sealed, &context(&[])).await.unwrap_err();
    assert!(matches!(refused, KmsError::InvalidCiphertext));
}

#[tokio::test]
async fn a_key_that_is_off_or_going_opens_nothing_until_it_is_back() {
    let world = world();
    let key = world.new_key().await;
    let encrypt = json!({ "KeyId": key, "Plaintext": "AA==" });
    let decrypt = json!({ "CiphertextBlob": world.call("Encrypt", encrypt.clone()).await["CiphertextBlob"] });
    let of_key = json!({ "KeyId": key });
    world.call("DisableKey", of_key.clone()).await;
    assert_eq!(world.refused("Decrypt", decrypt.clone()).await, "DisabledException");
    assert_eq!(world.refused("EnableKeyRotation", of_key.clone()).await, "DisabledException");
    let scheduled = world.call("ScheduleKeyDeletion", json!({ "KeyId": key, "PendingWindowInDays": 7 })).await;
    assert_eq!(scheduled["KeyState"], "PendingDeletion");
    for (operation, input) in [("Encrypt", &encrypt), ("EnableKey", &of_key), ("ScheduleKeyDeletion", &of_key)] {
        assert_eq!(world.refused(operation, input.clone()).await, "KMSInvalidStateException", "{operation}");
    }
    world.call("CancelKeyDeletion", of_key.clone()).await;
    assert_eq!(world.refused("CancelKeyDeletion", of_key.clone()).await, "KMSInvalidStateException");
    assert_eq!(world.call("DescribeKey", of_key.clone()).await["KeyMetadata"]["KeyState"], "Disabled");
    world.call("EnableKey", of_key.clone()).await;
    assert_eq!(world.call("Decrypt", decrypt.clone()).await["Plaintext"], "AA==");

    // After its waiting period it is as if it had never been, whether or not anybody has cleaned up.
    world.call("CreateAlias", json!({ "AliasName": "alias/a", "TargetKeyId": key })).await;
    world.call("ScheduleKeyDeletion", json!({ "KeyId": key, "PendingWindowInDays": 7 })).await;
    world.clock.advance(DAY * 7);
    assert_eq!(world.refused("DescribeKey", of_key.clone()).await, "NotFoundException");
    assert_eq!(world.refused("Decrypt", decrypt).await, "AccessDeniedException");
    world.kms.maintain().await.unwrap();
    assert_eq!(world.call("ListAliases", json!({})).await["Aliases"], json!([]));
    assert_eq!(world.call("ListKeys", json!({})).await["Keys"], json!([]));
}

#[tokio::test]
async fn automatic_rotation_comes_with_its_day_and_only_for_enabled_keys() {
    let world = world();
    let key = world.new_key().await;
    world.call("EnableKeyRotation", json!({ "KeyId": key, "RotationPeriodInDays": 90 })).await;
    let materials = async || {
        let found = world.kms.resolve(&key, account(), &region()).await.unwrap();
        (found.materials.len(), found.rotation)
    };
    world.clock.advance(DAY * 90 - Duration::from_secs(1));
    world.kms.maintain().await.unwrap();
    assert_eq!(materials().await.0, 1);
    world.call("DisableKey", json!({ "KeyId": key })).await;
    world.clock.advance(Duration::from_secs(1));
    world.kms.maintain().await.unwrap();
    assert_eq!(materials().await.0, 1);
    world.call("EnableKey", json!({ "KeyId": key })).await;
    world.kms.maintain().await.unwrap();
    world.kms.maintain().await.unwrap();
    assert_eq!(materials().await, (2, Some(Rotation { period_days: 90, next: NOW + DAY * 180 })));
}

#[tokio::test]
async fn a_services_key_is_made_once_and_works_through_that_service_only() {
    let world = world();
    let key = world.kms.managed_key(account(), &region(), "s3").await.unwrap();
    assert_eq!(world.kms.managed_key(account(), &region(), "s3").await.unwrap().id, key.id);
    let alice = world.principal("AKIAALICE");
    let conditions = Conditions::new();
    let arn = key.arn();
    let ask = async |via| {
        let requester = Requester::Caller { principal: &alice, conditions: &conditions, via };
        world.kms.generate_data_key(requester, (&arn, account(), &region()), &context(&[])).await
    };
    assert!(ask(Some("s3")).await.is_ok());
    assert!(matches!(ask(None).await, Err(KmsError::AccessDenied(_))));
    assert!(matches!(ask(Some("sns")).await, Err(KmsError::AccessDenied(_))));
    assert_eq!(key.state, KeyState::Enabled);
    assert_eq!(world.refused("DisableKey", json!({ "KeyId": arn })).await, "AccessDeniedException");
}

#[tokio::test]
async fn markers_continue_their_own_list_only() {
    let world = world();
    for _ in 0..5 {
        world.new_key().await;
    }
    let (mut seen, mut marker) = (Vec::new(), Value::Null);
    loop {
        let page = world.call("ListKeys", json!({ "Limit": 2, "Marker": marker })).await;
        seen.extend(page["Keys"].as_array().unwrap().iter().map(|key| key["KeyId"].clone()));
        if page["Truncated"] == false {
            break;
        }
        marker = page["NextMarker"].clone();
    }
    let mut sorted = seen.clone();
    sorted.sort_by_key(Value::to_string);
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (5, &sorted));
    assert_eq!(world.refused("ListAliases", json!({ "Marker": marker })).await, "InvalidMarkerException");
    assert_eq!(world.refused("ListKeys", json!({ "Marker": "x" })).await, "InvalidMarkerException");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any text under any context comes back with that context, after any number of rotations, and with no other.
    #[test]
    fn ciphertexts_open_with_their_context_alone(
        plaintext in prop::collection::vec(any::<u8>(), 1..4097),
        pairs in prop::collection::btree_map("[a-z:]{0,8}", ".{0,8}", 0..4),
        rotations in prop::collection::vec(any::<bool>(), 0..5),
        flipped in any::<prop::sample::Index>(),
    ) {
        let world = world();
        let pairs: BTreeMap<String, String> = pairs;
        let mut key = world.kms.new_key(account(), &region(), String::new(), String::new());
        for rotate in &rotations {
            if *rotate {
                world.kms.rotate(&mut key, crate::key::RotationType::OnDemand);
            }
        }
        let blob = world.kms.seal(&key, &pairs, &plaintext).unwrap();
        prop_assert!(blob.len() <= 6144);
        world.kms.rotate(&mut key, crate::key::RotationType::Automatic);
        let open = |blob: &[u8], pairs: &BTreeMap<String, String>| {
            let (header, bytes, sealed) = crate::ciphertext::Header::split(blob)?;
            let opened = crate::kms::open_blob(&world.kms.ring, &key, &header, bytes, sealed, pairs);
            opened.ok().map(|(plaintext, _)| plaintext.to_vec())
        };
        prop_assert_eq!(open(&blob, &pairs), Some(plaintext));
        let mut others = pairs.clone();
        others.insert("another".to_owned(), String::new());
        prop_assert_eq!(open(&blob, &others), None);
        let mut altered = blob.clone();
        altered[flipped.index(blob.len())] ^= 1;
        // A flipped bit of the header's place is looked up elsewhere; here only the seal is on trial.
        prop_assert_eq!(open(&altered, &pairs), None);
    }
}
