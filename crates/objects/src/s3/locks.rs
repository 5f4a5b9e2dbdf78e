//! Object Lock in S3's words. (API Reference; S3 User Guide, "Locking objects with Object Lock".)

use opentrail_model::Timestamp as Moment;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::{Caller, Objects, answer, caller, refused};
use crate::StoreError;
use crate::locks::{self, Bypass, Lock, Mode, Period, Retention};
use crate::sidecar::Description;

pub(super) async fn put_object_lock_configuration(
    objects: &Objects,
    request: S3Request<PutObjectLockConfigurationInput>,
) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
    let input = request.input;
    if input.token.is_some() {
        // It was AWS Support's to give, and is not needed any more.
        let message = "x-amz-bucket-object-lock-token is not available; leave it out.";
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
    }
    let configuration = input.object_lock_configuration.ok_or(S3ErrorCode::MalformedXML)?;
    let enabled = configuration.object_lock_enabled.as_ref().map(|enabled| enabled.as_str());
    if enabled != Some(ObjectLockEnabled::ENABLED) {
        return Err(S3ErrorCode::MalformedXML.into());
    }
    let default = configuration.rule.map(|rule| {
        let default = rule.default_retention?;
        let mode = Mode::from_name(default.mode?.as_str())?;
        // Numbers below zero are as bad as zero.
        let count = |count: i32| u32::try_from(count).unwrap_or(0);
        let period = match (default.days, default.years) {
            (Some(days), None) => Period::Days(count(days)),
            (None, Some(years)) => Period::Years(count(years)),
            _ => return None,
        };
        Some(locks::DefaultRetention { mode, period })
    });
    let default = default.map(|default| default.ok_or(S3ErrorCode::MalformedXML)).transpose()?;
    let bucket = input.bucket;
    objects.store.blocking(move |store| store.put_object_lock(&bucket, default)).await.map_err(refused)?;
    answer(PutObjectLockConfigurationOutput::default())
}

pub(super) async fn get_object_lock_configuration(
    objects: &Objects,
    request: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
    let bucket = objects.store.require_bucket(&request.input.bucket).map_err(refused)?;
    let Some(lock) = bucket.object_lock else {
        let message = "Object Lock configuration does not exist for this bucket";
        return Err(S3Error::with_message(S3ErrorCode::ObjectLockConfigurationNotFoundError, message));
    };
    let rule = lock.default.map(|default| {
        let count = |count: u32| i32::try_from(count).ok();
        let (days, years) = match default.period {
            Period::Days(days) => (count(days), None),
            Period::Years(years) => (None, count(years)),
        };
        let mode = Some(ObjectLockRetentionMode::from_static(default.mode.name()));
        ObjectLockRule { default_retention: Some(DefaultRetention { days, mode, years }) }
    });
    let object_lock_enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
    let configuration = ObjectLockConfiguration { object_lock_enabled, rule };
    answer(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) })
}

pub(super) async fn put_object_retention(
    objects: &Objects,
    request: S3Request<PutObjectRetentionInput>,
) -> S3Result<S3Response<PutObjectRetentionOutput>> {
    let caller = caller(&request)?;
    let PutObjectRetentionInput { bucket, key, version_id, retention, bypass_governance_retention, .. } = request.input;
    require_locking(objects, &bucket)?;
    let retention = retention.ok_or(S3ErrorCode::MalformedXML)?;
    let retention = match (retention.mode, retention.retain_until_date) {
        // The documented way to take a governance retention away.
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = Mode::from_name(mode.as_str()).ok_or(S3ErrorCode::MalformedXML)?;
            Some(Retention { mode, until: moment(&until)? })
        }
        _ => return Err(S3ErrorCode::MalformedXML.into()),
    };
    let bypass = bypass(objects, &caller, (&bucket, &key), bypass_governance_retention)?;
    let changed = objects.store.blocking(move |store| {
        store.check_future(retention)?;
        let now = store.inner.clock.now();
        store.change_lock(&bucket, &key, version_id.as_deref(), |lock| {
            lock.check_retention(retention, now, bypass)?;
            lock.retention = retention;
            Ok(())
        })
    });
    changed.await.map_err(refused)?;
    answer(PutObjectRetentionOutput::default())
}

pub(super) async fn get_object_retention(
    objects: &Objects,
    request: S3Request<GetObjectRetentionInput>,
) -> S3Result<S3Response<GetObjectRetentionOutput>> {
    let GetObjectRetentionInput { bucket, key, version_id, .. } = request.input;
    let retention = lock_of(objects, bucket, key, version_id).await?.retention.ok_or_else(no_configuration)?;
    let (mode, until) = (ObjectLockRetentionMode::from_static(retention.mode.name()), timestamp(retention.until));
    let retention = ObjectLockRetention { mode: Some(mode), retain_until_date: Some(until) };
    answer(GetObjectRetentionOutput { retention: Some(retention) })
}

pub(super) async fn put_object_legal_hold(
    objects: &Objects,
    request: S3Request<PutObjectLegalHoldInput>,
) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
    let PutObjectLegalHoldInput { bucket, key, version_id, legal_hold, .. } = request.input;
    require_locking(objects, &bucket)?;
    let status = legal_hold.and_then(|hold| hold.status).ok_or(S3ErrorCode::MalformedXML)?;
    let on = hold_of(status.as_str()).ok_or(S3ErrorCode::MalformedXML)?;
    let changed = objects.store.blocking(move |store| {
        store.change_lock(&bucket, &key, version_id.as_deref(), |lock| {
            lock.legal_hold = Some(on);
            Ok(())
        })
    });
    changed.await.map_err(refused)?;
    answer(PutObjectLegalHoldOutput::default())
}

pub(super) async fn get_object_legal_hold(
    objects: &Objects,
    request: S3Request<GetObjectLegalHoldInput>,
) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
    let GetObjectLegalHoldInput { bucket, key, version_id, .. } = request.input;
    let on = lock_of(objects, bucket, key, version_id).await?.legal_hold.ok_or_else(no_configuration)?;
    let legal_hold = Some(ObjectLockLegalHold { status: Some(hold_status(on)) });
    answer(GetObjectLegalHoldOutput { legal_hold })
}

async fn lock_of(objects: &Objects, bucket: String, key: String, version: Option<String>) -> S3Result<Lock> {
    require_locking(objects, &bucket)?;
    let found = objects.store.blocking(move |store| store.version(&bucket, &key, version.as_deref()));
    Ok(found.await.map_err(refused)?.lock)
}

fn no_configuration() -> S3Error {
    let message = "The specified object does not have a ObjectLock configuration";
    S3Error::with_message(S3ErrorCode::NoSuchObjectLockConfiguration, message)
}

fn require_locking(objects: &Objects, bucket: &str) -> S3Result<()> {
    let found = objects.store.require_bucket(bucket).map_err(refused)?;
    found.object_lock.map(drop).ok_or_else(|| refused(StoreError::NotLocking))
}

/// Whether the caller bypasses governance retention: asks for it, and may. (S3 User Guide, "Managing Object Lock".)
pub(super) fn bypass(
    objects: &Objects,
    caller: &Caller,
    (bucket, key): (&str, &str),
    asked: Option<bool>,
) -> S3Result<Bypass> {
    if asked != Some(true) {
        return Ok(Bypass::No);
    }
    objects.ask(caller, "s3:BypassGovernanceRetention", bucket, Some(key))?;
    Ok(Bypass::Allowed)
}

/// The lock headers of a request that makes an object.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) mode: Option<ObjectLockMode>,
    pub(super) until: Option<Timestamp>,
    pub(super) hold: Option<ObjectLockLegalHoldStatus>,
}

/// The lock that a new object asks for, for which its writer needs the right to set one.
pub(super) async fn new_lock(
    objects: &Objects,
    caller: &Caller,
    (bucket, key): (&str, &str),
    asked: Asked,
) -> S3Result<Lock> {
    let invalid = |message: &'static str| S3Error::with_message(S3ErrorCode::InvalidArgument, message);
    if asked.mode.is_none() && asked.until.is_none() && asked.hold.is_none() {
        return Ok(Lock::default());
    }
    require_locking(objects, bucket)?;
    let retention = match (asked.mode, asked.until) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = Mode::from_name(mode.as_str()).ok_or_else(|| invalid("Unknown wormMode directive."))?;
            objects.ask(caller, "s3:PutObjectRetention", bucket, Some(key))?;
            Some(Retention { mode, until: moment(&until)? })
        }
        _ => {
            let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(invalid(message));
        }
    };
    let unknown = || invalid("Legal Hold must be either of 'ON' or 'OFF'");
    let legal_hold = asked.hold.map(|hold| hold_of(hold.as_str()).ok_or_else(unknown)).transpose()?;
    if legal_hold.is_some() {
        objects.ask(caller, "s3:PutObjectLegalHold", bucket, Some(key))?;
    }
    objects.store.blocking(move |store| store.check_future(retention)).await.map_err(refused)?;
    Ok(Lock { retention, legal_hold })
}

/// The headers that tell of an object's lock, for those who may know.
#[derive(Default)]
pub(super) struct Told {
    pub(super) mode: Option<ObjectLockMode>,
    pub(super) until: Option<Timestamp>,
    pub(super) hold: Option<ObjectLockLegalHoldStatus>,
}

pub(super) fn told(objects: &Objects, caller: &Caller, place: (&str, &str), description: &Description) -> Told {
    let may = |action| objects.ask(caller, action, place.0, Some(place.1)).is_ok();
    let Lock { retention, legal_hold } = description.lock.clone();
    let retention = retention.filter(|_| may("s3:GetObjectRetention"));
    Told {
        mode: retention.map(|retention| ObjectLockMode::from_static(retention.mode.name())),
        until: retention.map(|retention| timestamp(retention.until)),
        hold: legal_hold.filter(|_| may("s3:GetObjectLegalHold")).map(hold_status),
    }
}

fn hold_of(status: &str) -> Option<bool> {
    match status {
        "ON" => Some(true),
        "OFF" => Some(false),
        _ => None,
    }
}

fn hold_status(on: bool) -> ObjectLockLegalHoldStatus {
    ObjectLockLegalHoldStatus::from_static(if on { "ON" } else { "OFF" })
}

/// To the millisecond.
fn moment(time: &Timestamp) -> S3Result<Moment> {
    let mut text = Vec::new();
    let written = time.format(TimestampFormat::DateTime, &mut text).ok();
    let text = written.and_then(|()| String::from_utf8(text).ok()).unwrap_or_default();
    let time = chrono::DateTime::parse_from_rfc3339(&text);
    let bad = |_| S3Error::with_message(S3ErrorCode::InvalidArgument, "The retain until date cannot be read");
    time.map(|time| Moment::from_millis(time.timestamp_millis())).map_err(bad)
}

fn timestamp(time: Moment) -> Timestamp {
    super::buckets::timestamp(time)
}
