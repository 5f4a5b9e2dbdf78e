//! Where errors of the product become AWS errors: the one place that decides what a client sees.
//!
//! Every match is exhaustive, so that a new kind of error does not compile until someone has decided.

use opentrail_catalog::CatalogError;
use opentrail_dashboards::{DashboardError, ScheduleError};
use opentrail_generate::{GenerateError, Refusal};
use opentrail_history::HistoryError;
use opentrail_imports::{ImportError, OriginError};
use opentrail_insights::StoreError as InsightsStoreError;
use opentrail_model::ParseTrailNameError;
use opentrail_queries::{InvalidStatement, PlanError, QueryError, ResultsError};
use opentrail_selectors::SelectorError;
use opentrail_stores::{ChannelError, StoreError, StoreKeyError};
use opentrail_trails::{BucketError, KeyError, LogGroupError, TopicError, TrailError};
use opentrail_wire::Exception;
use opentrail_wire::cloudtrail::Operation;
use tracing::error;

use crate::channel::{ChannelReferenceError, ChannelSettingsError};
use crate::dashboard::{DashboardReferenceError, NothingToUpdate};
use crate::delegation::DelegationError;
use crate::event::AttributeError;
use crate::event_configuration::EventConfigurationError;
use crate::import::{ImportInputError, ImportReferenceError, SourceError};
use crate::insight::InsightError;
use crate::page_token::PageTokenError;
use crate::policy::{RuleError, TargetError};
use crate::query::{DeliveryUriError, QueryReferenceError, StatementError};
use crate::store::{ConfigurationError, InactiveStore, StoreReferenceError, StoreSettingsError};
use crate::tag::{ResourceError, TagError};
use crate::trail::{DestinationError, NotHomeRegion, OrganizationTrailError, SettingsError, TrailReferenceError};

/// Why an operation was not done, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError(pub(crate) Exception);

/// Errors that every operation can answer, beside those it declares. (API Reference, "Common Errors".)
const COMMON: [&str; 6] = [
    "AccessDeniedException",
    "InternalFailure",
    "SerializationException",
    "ServiceUnavailable",
    "ThrottlingException",
    "ValidationException",
];

impl ApiError {
    /// Whether the service model lets `operation` answer this error.
    pub(crate) fn is_declared_by(&self, operation: Operation) -> bool {
        let name = &*self.0.name;
        operation.errors().contains(&name) || COMMON.contains(&name)
    }
}

impl From<Exception> for ApiError {
    fn from(exception: Exception) -> Self {
        Self(exception)
    }
}

impl From<TrailError> for ApiError {
    fn from(error: TrailError) -> Self {
        let message = error.to_string();
        Self(match error {
            TrailError::NotFound { .. } => Exception::trail_not_found(message),
            TrailError::AlreadyExists { .. } => Exception::trail_already_exists(message),
            TrailError::TooMany { .. } => Exception::maximum_number_of_trails_exceeded(message),
            TrailError::Changed => Exception::conflict(message),
            TrailError::Catalog(cause) => return cause.into(),
        })
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        Self(match error {
            StoreError::NotFound { .. } => Exception::event_data_store_not_found(message),
            StoreError::AlreadyExists { .. } => Exception::event_data_store_already_exists(message),
            StoreError::TooMany { .. } => Exception::event_data_store_max_limit_exceeded(message),
            StoreError::Changed => Exception::conflict(message),
            StoreError::Catalog(cause) => return cause.into(),
        })
    }
}

impl From<ChannelError> for ApiError {
    fn from(error: ChannelError) -> Self {
        let message = error.to_string();
        Self(match error {
            ChannelError::NotFound { .. } => Exception::channel_not_found(message),
            ChannelError::NameTaken { .. } | ChannelError::SourceTaken { .. } => {
                Exception::channel_already_exists(message)
            }
            ChannelError::TooMany { .. } => Exception::channel_max_limit_exceeded(message),
            // No operation of channels declares a conflict; SDKs retry this one.
            ChannelError::Changed => Exception::service_unavailable(message),
            ChannelError::Catalog(cause) => return cause.into(),
        })
    }
}

impl From<ChannelReferenceError> for ApiError {
    fn from(error: ChannelReferenceError) -> Self {
        Self(Exception::channel_arn_invalid(error.to_string()))
    }
}

impl From<ChannelSettingsError> for ApiError {
    fn from(error: ChannelSettingsError) -> Self {
        let message = error.to_string();
        Self(match error {
            ChannelSettingsError::Source { .. } => Exception::invalid_source(message),
            ChannelSettingsError::Service | ChannelSettingsError::Repeated { .. } | ChannelSettingsError::Nothing => {
                Exception::invalid_parameter(message)
            }
            ChannelSettingsError::Category { .. } => Exception::invalid_event_data_store_category(message),
        })
    }
}

impl From<TargetError> for ApiError {
    fn from(error: TargetError) -> Self {
        let message = error.to_string();
        Self(match error {
            TargetError::Malformed { .. } => Exception::resource_arn_not_valid(message),
            TargetError::Type { .. } => Exception::resource_type_not_supported(message),
            TargetError::NotFound { .. } => Exception::resource_not_found(message),
            TargetError::Inactive { .. } => Exception::operation_not_permitted(message),
        })
    }
}

impl From<ConfigurationError> for ApiError {
    fn from(error: ConfigurationError) -> Self {
        let message = error.to_string();
        Self(match error {
            ConfigurationError::Nothing
            | ConfigurationError::Repeated { .. }
            | ConfigurationError::RequestKey { .. } => Exception::invalid_parameter(message),
            ConfigurationError::NeedsLarge => Exception::invalid_parameter_combination(message),
            ConfigurationError::Category { .. } => Exception::invalid_event_data_store_category(message),
        })
    }
}

impl From<RuleError> for ApiError {
    fn from(error: RuleError) -> Self {
        Self(Exception::resource_policy_not_valid(error.to_string()))
    }
}

impl From<StoreReferenceError> for ApiError {
    fn from(error: StoreReferenceError) -> Self {
        Self(Exception::event_data_store_arn_invalid(error.to_string()))
    }
}

impl From<InactiveStore> for ApiError {
    fn from(error: InactiveStore) -> Self {
        Self(Exception::inactive_event_data_store(error.to_string()))
    }
}

impl From<StoreSettingsError> for ApiError {
    fn from(error: StoreSettingsError) -> Self {
        let message = error.to_string();
        Self(match error {
            StoreSettingsError::Retention { .. }
            | StoreSettingsError::BillingMode
            | StoreSettingsError::Nothing
            | StoreSettingsError::CannotStop
            | StoreSettingsError::OneAccount
            | StoreSettingsError::OneRegion => Exception::invalid_parameter(message),
            StoreSettingsError::KindChange => Exception::invalid_event_selectors(message),
            // A choice: nothing that is declared fits better.
            StoreSettingsError::OtherKey => Exception::invalid_kms_key_id(message),
        })
    }
}

impl From<CatalogError> for ApiError {
    /// A 5xx that SDKs retry; details stay in our log.
    fn from(error: CatalogError) -> Self {
        error!(%error, "the catalog failed");
        Self(match error {
            CatalogError::Conflict { .. } | CatalogError::Unavailable { .. } => {
                Exception::service_unavailable("The catalog is unavailable. Try again later.")
            }
            CatalogError::Malformed { .. } => Exception::internal_failure(),
        })
    }
}

impl From<TrailReferenceError> for ApiError {
    fn from(error: TrailReferenceError) -> Self {
        let message = error.to_string();
        Self(match error {
            TrailReferenceError::Name(
                ParseTrailNameError::TooShort { .. }
                | ParseTrailNameError::TooLong { .. }
                | ParseTrailNameError::First
                | ParseTrailNameError::Last
                | ParseTrailNameError::Character
                | ParseTrailNameError::AdjacentMarks
                | ParseTrailNameError::IpAddress,
            ) => Exception::invalid_trail_name(message),
            TrailReferenceError::Arn { .. } => Exception::cloud_trail_arn_invalid(message),
        })
    }
}

impl From<NotHomeRegion> for ApiError {
    fn from(error: NotHomeRegion) -> Self {
        Self(Exception::invalid_home_region(error.to_string()))
    }
}

impl From<OrganizationTrailError> for ApiError {
    fn from(error: OrganizationTrailError) -> Self {
        let message = error.to_string();
        Self(match error {
            OrganizationTrailError::NotInUse { .. } => Exception::organizations_not_in_use(message),
            OrganizationTrailError::NotAdministrator { .. }
            | OrganizationTrailError::NotManagement
            | OrganizationTrailError::Shadow { .. } => Exception::not_organization_master_account(message),
            OrganizationTrailError::Dependency => Exception::insufficient_dependency_service_access_permission(message),
            OrganizationTrailError::NotAllFeatures { .. } => Exception::organization_not_in_all_features_mode(message),
            OrganizationTrailError::NoAccess { .. } => Exception::cloud_trail_access_not_enabled(message),
        })
    }
}

impl From<SettingsError> for ApiError {
    fn from(error: SettingsError) -> Self {
        let message = error.to_string();
        Self(match error {
            SettingsError::MultiRegionWithoutGlobalEvents => Exception::invalid_parameter_combination(message),
            SettingsError::LogGroupWithoutRole | SettingsError::RoleArn { .. } => {
                Exception::invalid_cloud_watch_logs_role_arn(message)
            }
            SettingsError::RoleWithoutLogGroup | SettingsError::LogGroupArn { .. } => {
                Exception::invalid_cloud_watch_logs_log_group_arn(message)
            }
        })
    }
}

impl From<DelegationError> for ApiError {
    fn from(error: DelegationError) -> Self {
        let message = error.to_string();
        Self(match error {
            DelegationError::NotInUse => Exception::organizations_not_in_use(message),
            DelegationError::NotManagement => Exception::not_organization_management_account(message),
            DelegationError::NotAllFeatures => Exception::organization_not_in_all_features_mode(message),
            DelegationError::AccessNotEnabled => Exception::cloud_trail_access_not_enabled(message),
            DelegationError::Dependency { .. } => Exception::insufficient_dependency_service_access_permission(message),
            DelegationError::ManagementAccount => Exception::cannot_delegate_management_account(message),
            DelegationError::NoAccount { .. } => Exception::account_not_found(message),
            DelegationError::Closed { .. } => Exception::invalid_parameter(message),
            DelegationError::Registered { .. } => Exception::account_registered(message),
            DelegationError::NotRegistered { .. } => Exception::account_not_registered(message),
            DelegationError::TooMany => Exception::delegated_admin_account_limit_exceeded(message),
        })
    }
}

impl From<DestinationError> for ApiError {
    fn from(error: DestinationError) -> Self {
        let message = error.to_string();
        Self(match error {
            DestinationError::BucketName { .. } => Exception::invalid_s3_bucket_name(message),
            DestinationError::PrefixTooLong { .. }
            | DestinationError::Prefix { .. }
            | DestinationError::PrefixAmongLogs { .. } => Exception::invalid_s3_prefix(message),
        })
    }
}

impl From<BucketError> for ApiError {
    fn from(error: BucketError) -> Self {
        let message = error.to_string();
        Self(match error {
            BucketError::NoSuchBucket { .. } => Exception::s3_bucket_does_not_exist(message),
            BucketError::AccessDenied { .. } => Exception::insufficient_s3_bucket_policy(message),
            BucketError::Unavailable { .. } => Exception::service_unavailable(message),
        })
    }
}

impl From<TopicError> for ApiError {
    fn from(error: TopicError) -> Self {
        let message = error.to_string();
        Self(match error {
            TopicError::Name { .. } => Exception::invalid_sns_topic_name(message),
            TopicError::Refused { .. } => Exception::insufficient_sns_topic_policy(message),
            TopicError::Unavailable { .. } => Exception::service_unavailable(message),
        })
    }
}

impl From<LogGroupError> for ApiError {
    fn from(error: LogGroupError) -> Self {
        let message = error.to_string();
        Self(match error {
            LogGroupError::Group | LogGroupError::Permissions => {
                Exception::invalid_cloud_watch_logs_log_group_arn(message)
            }
            LogGroupError::Trust => Exception::invalid_cloud_watch_logs_role_arn(message),
            LogGroupError::Unavailable { .. } => Exception::cloud_watch_logs_delivery_unavailable(message),
        })
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let message = error.to_string();
        Self(match error {
            KeyError::Invalid { .. } => Exception::invalid_kms_key_id(message),
            KeyError::NotFound { .. } => Exception::kms_key_not_found(message),
            KeyError::AccessDenied { .. } => Exception::insufficient_encryption_policy(message),
            // KmsKeyDisabledException is no longer used. (API Reference, CreateTrail.)
            KeyError::Unusable { .. } => Exception::kms(message),
            KeyError::Unavailable { .. } => Exception::service_unavailable(message),
        })
    }
}

impl From<StoreKeyError> for ApiError {
    fn from(error: StoreKeyError) -> Self {
        let message = error.to_string();
        Self(match error {
            StoreKeyError::Invalid { .. } => Exception::invalid_kms_key_id(message),
            StoreKeyError::NotFound { .. } => Exception::kms_key_not_found(message),
            StoreKeyError::AccessDenied { .. } => Exception::insufficient_encryption_policy(message),
            StoreKeyError::Unusable { .. } => Exception::kms(message),
            StoreKeyError::Unavailable { .. } => Exception::service_unavailable(message),
        })
    }
}

impl From<SelectorError> for ApiError {
    fn from(error: SelectorError) -> Self {
        let message = error.to_string();
        Self(match error {
            SelectorError::Count { .. }
            | SelectorError::BothKinds
            | SelectorError::BasicInStore
            | SelectorError::ReadWriteType { .. }
            | SelectorError::DataValues { .. }
            | SelectorError::DataType { .. }
            | SelectorError::DataValue { .. }
            | SelectorError::Excluded { .. }
            | SelectorError::Values { .. }
            | SelectorError::Advanced { .. }
            | SelectorError::Mixed { .. } => Exception::invalid_event_selectors(message),
        })
    }
}

impl From<EventConfigurationError> for ApiError {
    fn from(error: EventConfigurationError) -> Self {
        let message = error.to_string();
        Self(match error {
            EventConfigurationError::BothTargets
            | EventConfigurationError::NotOfTrails { .. }
            | EventConfigurationError::NotOfStores => Exception::invalid_parameter_combination(message),
            // Which of the two errors it is for no target is not documented.
            EventConfigurationError::NoTarget
            | EventConfigurationError::Nothing
            | EventConfigurationError::NoDataEvents { .. } => Exception::invalid_parameter(message),
        })
    }
}

impl From<TagError> for ApiError {
    fn from(error: TagError) -> Self {
        let message = error.to_string();
        Self(match error {
            TagError::TooMany { .. } => Exception::tags_limit_exceeded(message),
            TagError::Duplicate { .. } | TagError::Character { .. } | TagError::Reserved { .. } => {
                Exception::invalid_tag_parameter(message)
            }
        })
    }
}

impl From<ResourceError> for ApiError {
    fn from(error: ResourceError) -> Self {
        let message = error.to_string();
        Self(match error {
            ResourceError::Malformed { .. } | ResourceError::Region { .. } => {
                Exception::cloud_trail_arn_invalid(message)
            }
            ResourceError::Type { .. } => Exception::resource_type_not_supported(message),
            ResourceError::NotFound { .. } => Exception::resource_not_found(message),
        })
    }
}

impl From<AttributeError> for ApiError {
    fn from(error: AttributeError) -> Self {
        let message = error.to_string();
        Self(match error {
            AttributeError::Several { .. }
            | AttributeError::Key { .. }
            | AttributeError::NotOfInsights { .. }
            | AttributeError::Length { .. }
            | AttributeError::ReadOnly { .. } => Exception::invalid_lookup_attributes(message),
        })
    }
}

impl From<HistoryError> for ApiError {
    /// A 5xx that SDKs retry; details stay in our log.
    fn from(error: HistoryError) -> Self {
        error!(%error, "the event history failed");
        Self(match error {
            HistoryError::Lake(_) | HistoryError::Unreadable { .. } | HistoryError::Stopping => {
                Exception::service_unavailable("The Event history is unavailable. Try again later.")
            }
            HistoryError::Damaged { .. } => Exception::internal_failure(),
        })
    }
}

impl From<QueryReferenceError> for ApiError {
    fn from(error: QueryReferenceError) -> Self {
        let message = error.to_string();
        Self(match error {
            QueryReferenceError::Owner { .. }
            | QueryReferenceError::Id { .. }
            | QueryReferenceError::IdOrAlias
            | QueryReferenceError::RefreshWithoutAlias
            // StartQuery declares no error of its own for it.
            | QueryReferenceError::NoAlias { .. } => Exception::invalid_parameter(message),
            QueryReferenceError::NoQueryOfAlias { .. } => Exception::query_id_not_found(message),
        })
    }
}

impl From<StatementError> for ApiError {
    fn from(error: StatementError) -> Self {
        let message = error.to_string();
        Self(match error {
            StatementError::StatementOrAlias
            | StatementError::ParametersWithoutAlias
            | StatementError::Parameters { .. } => Exception::invalid_parameter(message),
            StatementError::NoStore => Exception::invalid_query_statement(message),
        })
    }
}

impl From<DeliveryUriError> for ApiError {
    fn from(error: DeliveryUriError) -> Self {
        Self(Exception::invalid_parameter(error.to_string()))
    }
}

impl From<DashboardReferenceError> for ApiError {
    /// No operation of dashboards declares an error for a malformed name: what it names is not there.
    fn from(error: DashboardReferenceError) -> Self {
        Self(Exception::resource_not_found(error.to_string()))
    }
}

impl From<NothingToUpdate> for ApiError {
    fn from(error: NothingToUpdate) -> Self {
        Self(Exception::validation(error.to_string()))
    }
}

impl From<ScheduleError> for ApiError {
    fn from(error: ScheduleError) -> Self {
        DashboardError::from(error).into()
    }
}

impl From<DashboardError> for ApiError {
    /// What a request says wrongly has no error of its own in the operations of dashboards: it is a ValidationException.
    fn from(error: DashboardError) -> Self {
        let message = error.to_string();
        Self(match error {
            DashboardError::NotFound { .. } | DashboardError::NoStore { .. } => Exception::resource_not_found(message),
            DashboardError::AlreadyExists { .. } | DashboardError::Protected { .. } | DashboardError::Changed => {
                Exception::conflict(message)
            }
            DashboardError::TooMany { .. }
            | DashboardError::TooManyWidgets { .. }
            | DashboardError::Refreshing { .. } => Exception::service_quota_exceeded(message),
            DashboardError::Fixed { .. } | DashboardError::StoreKind { .. } => {
                Exception::unsupported_operation(message)
            }
            DashboardError::Reserved { .. }
            | DashboardError::WidgetsOfHighlights
            | DashboardError::Widget(_)
            | DashboardError::Schedule(_)
            | DashboardError::Values(_)
            | DashboardError::Statement(_) => Exception::validation(message),
            DashboardError::InactiveStore { .. } => Exception::inactive_event_data_store(message),
            DashboardError::Denied { .. } => Exception::access_denied(message),
            DashboardError::Store(cause) => return cause.into(),
            DashboardError::Query(QueryError::TooMany { .. }) => Exception::service_quota_exceeded(message),
            DashboardError::Query(cause) => return cause.into(),
            DashboardError::Catalog(cause) => return cause.into(),
        })
    }
}

impl From<Refusal> for ApiError {
    fn from(error: Refusal) -> Self {
        Self(Exception::generate_response(error.to_string()))
    }
}

impl From<GenerateError> for ApiError {
    /// Details stay in our log. It is no error that clients repeat by themselves: that would take as long again.
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::Refused(refusal) => refusal.into(),
            GenerateError::Failed { reason } => {
                error!(reason, "the generator of queries failed");
                Self(Exception::generate_response("The generator of queries does not answer. Try again later."))
            }
        }
    }
}

impl From<InvalidStatement> for ApiError {
    fn from(error: InvalidStatement) -> Self {
        Self(Exception::invalid_query_statement(error.to_string()))
    }
}

impl From<PlanError> for ApiError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Statement(invalid) => invalid.into(),
            PlanError::Locked { reason } => Self(Exception::insufficient_encryption_policy(reason)),
            PlanError::Unavailable { reason } => {
                error!(reason, "a query could not be prepared");
                Self(Exception::service_unavailable("The event data store is unavailable. Try again later."))
            }
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        Self(match error {
            QueryError::NotFound { .. } => Exception::query_id_not_found(message),
            QueryError::TooMany { .. } => Exception::max_concurrent_queries(message),
            QueryError::Inactive { .. } => Exception::inactive_query(message),
            QueryError::Results(cause) => return cause.into(),
            QueryError::Catalog(cause) => return cause.into(),
        })
    }
}

impl From<ResultsError> for ApiError {
    /// Details stay in our log.
    fn from(error: ResultsError) -> Self {
        if let ResultsError::Key(refused) = &error {
            // Of a KMS key that is off, too: GetQueryResults declares no other error of keys.
            return Self(Exception::insufficient_encryption_policy(refused.to_string()));
        }
        error!(%error, "rows of a query cannot be read");
        Self(match error {
            ResultsError::Disk { .. } | ResultsError::Key(_) => {
                Exception::service_unavailable("The results are unavailable. Try again later.")
            }
            ResultsError::Damaged { .. } | ResultsError::TooLarge => Exception::internal_failure(),
        })
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let message = error.to_string();
        Self(match error {
            ImportError::NotFound { .. } => Exception::import_not_found(message),
            ImportError::Ongoing { .. } => Exception::account_has_ongoing_import(message),
            // No operation declares an error of its own for an import in another state; a choice.
            ImportError::NotToRetry { .. } | ImportError::NotOngoing { .. } => {
                Exception::operation_not_permitted(message)
            }
            ImportError::Stopping => Exception::service_unavailable(message),
            ImportError::Catalog(cause) => return cause.into(),
        })
    }
}

impl From<ImportReferenceError> for ApiError {
    fn from(error: ImportReferenceError) -> Self {
        Self(Exception::invalid_parameter(error.to_string()))
    }
}

impl From<ImportInputError> for ApiError {
    fn from(error: ImportInputError) -> Self {
        Self(Exception::invalid_parameter(error.to_string()))
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        Self(Exception::invalid_import_source(error.to_string()))
    }
}

impl From<OriginError> for ApiError {
    fn from(error: OriginError) -> Self {
        let message = error.to_string();
        Self(match error {
            OriginError::NoSuchBucket { .. }
            | OriginError::Region { .. }
            | OriginError::Role { .. }
            | OriginError::AccessDenied { .. } => Exception::invalid_import_source(message),
            OriginError::Unavailable { .. } => Exception::service_unavailable(message),
        })
    }
}

impl From<InsightError> for ApiError {
    fn from(error: InsightError) -> Self {
        let message = error.to_string();
        Self(match error {
            InsightError::BothTargets => Exception::invalid_parameter_combination(message),
            InsightError::NoType
            | InsightError::Repeated { .. }
            | InsightError::Category { .. }
            | InsightError::DataOfStore
            | InsightError::Source { .. }
            | InsightError::Destination { .. }
            | InsightError::ForeignDestination { .. } => Exception::invalid_insight_selectors(message),
            InsightError::NotEnabled { .. } => Exception::insight_not_enabled(message),
            InsightError::Member { .. } => Exception::operation_not_permitted(message),
            InsightError::NoTarget
            | InsightError::NoDestination { .. }
            | InsightError::NoTrailArn { .. }
            | InsightError::Range
            | InsightError::Period { .. }
            | InsightError::NoErrorCode
            | InsightError::ErrorCode => Exception::invalid_parameter(message),
        })
    }
}

impl From<InsightsStoreError> for ApiError {
    fn from(error: InsightsStoreError) -> Self {
        error!(%error, "Insights cannot be read");
        Self(match error {
            InsightsStoreError::Unavailable(_) => Exception::service_unavailable("Insights cannot be read now."),
            InsightsStoreError::Malformed { .. } => Exception::internal_failure(),
        })
    }
}

impl From<PageTokenError> for ApiError {
    fn from(error: PageTokenError) -> Self {
        let message = error.to_string();
        Self(match error {
            PageTokenError::Forged | PageTokenError::OtherRequest | PageTokenError::Expired => {
                Exception::invalid_next_token(message)
            }
        })
    }
}
