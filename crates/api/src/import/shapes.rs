use opentrail_imports::{Import, Statistics};
use opentrail_wire::cloudtrail::{ImportSource, ImportStatistics, S3ImportSource};

/// An answer about one import: what every such answer says of it, and what this one says besides.
macro_rules! described {
    ($output:ident, $import:expr $(, $member:ident: $value:expr)*) => {
        $output {
            import_id: Some($import.key.id.to_string()),
            destinations: Some($crate::import::shapes::destinations(&$import)),
            import_source: Some($crate::import::shapes::source(&$import)),
            start_event_time: $import.start,
            end_event_time: $import.end,
            import_status: Some($import.status.as_str().to_owned()),
            created_timestamp: Some($import.created),
            updated_timestamp: Some($import.updated),
            $($member: Some($value),)*
        }
    };
}

pub(super) use described;

pub(super) fn destinations(import: &Import) -> Vec<String> {
    vec![import.destination.arn().to_string()]
}

pub(super) fn source(import: &Import) -> ImportSource {
    let origin = &import.origin;
    let s3 = S3ImportSource {
        s3_location_uri: origin.uri.clone(),
        s3_bucket_region: origin.region.to_string(),
        s3_bucket_access_role_arn: origin.role.clone(),
    };
    ImportSource { s3 }
}

pub(super) fn statistics(import: &Import) -> ImportStatistics {
    let Statistics { prefixes_found, prefixes_completed, files_completed, events_completed, failed_entries } =
        import.statistics();
    let count = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
    ImportStatistics {
        prefixes_found: count(prefixes_found),
        prefixes_completed: count(prefixes_completed),
        files_completed: count(files_completed),
        events_completed: count(events_completed),
        failed_entries: count(failed_entries),
    }
}
