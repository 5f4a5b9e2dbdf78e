use opentrail_catalog::CatalogError;
use opentrail_model::{AccountId, Arn, Region};
use opentrail_queries::{InvalidStatement, QueryError};
use opentrail_stores::StoreError;

use crate::{MAX_DASHBOARDS, MAX_WIDGETS, ScheduleError, ValuesError, WidgetError};

/// Why something was not done with a dashboard.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// There is no such dashboard.
    #[error("The dashboard {arn} was not found.")]
    NotFound {
        /// What was asked for.
        arn: Arn,
    },
    /// The name is taken.
    #[error("A dashboard named {name} already exists in this Region.")]
    AlreadyExists {
        /// The name.
        name: String,
    },
    /// The name is CloudTrail's.
    #[error("Names that begin with AWSCloudTrail- are those of CloudTrail's own dashboards: {name} cannot be made.")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The Region is full.
    #[error("Account {account} already has {MAX_DASHBOARDS} custom dashboards in {region}.")]
    TooMany {
        /// Whose dashboards.
        account: AccountId,
        /// Where.
        region: Region,
    },
    /// It has too much to show.
    #[error("A dashboard has at most {MAX_WIDGETS} widgets; this one would have {count}.")]
    TooManyWidgets {
        /// How many it would have.
        count: usize,
    },
    /// It cannot be deleted.
    #[error("Termination protection is enabled for {arn}; turn it off first.")]
    Protected {
        /// The dashboard.
        arn: Arn,
    },
    /// CloudTrail decides what it is.
    #[error("{arn} is a managed dashboard, which cannot be changed or deleted.")]
    Fixed {
        /// The dashboard.
        arn: Arn,
    },
    /// CloudTrail decides what Highlights show.
    #[error("The widgets of AWSCloudTrail-Highlights are chosen by CloudTrail: leave Widgets out.")]
    WidgetsOfHighlights,
    /// Somebody else changed it meanwhile.
    #[error("the dashboard was changed by another request; try again")]
    Changed,
    /// Its refresh has not ended.
    #[error("A refresh of {arn} is running; wait until it has ended.")]
    Refreshing {
        /// The dashboard.
        arn: Arn,
    },
    /// A widget is not valid.
    #[error(transparent)]
    Widget(#[from] WidgetError),
    /// A schedule is not valid.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Values of parameters are not valid.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// With the values in it a widget's statement is none.
    #[error("the statement of a widget is not valid: {0}")]
    Statement(#[from] InvalidStatement),
    /// Nobody can be asked.
    #[error("There is no event data store to refresh {arn} from.")]
    NoStore {
        /// The dashboard.
        arn: Arn,
    },
    /// A store is pending deletion.
    #[error("The event data store {arn} is pending deletion; restore it first.")]
    InactiveStore {
        /// The store.
        arn: Arn,
    },
    /// A store does not hold what the dashboard shows.
    #[error("{dashboard} shows {events}, which the event data store {store} does not collect.")]
    StoreKind {
        /// The dashboard's name.
        dashboard: String,
        /// What it shows.
        events: &'static str,
        /// The store.
        store: Arn,
    },
    /// CloudTrail itself may not.
    #[error(
        "Service: cloudtrail.amazonaws.com is not authorized to perform: {action} on resource: {resource} because no \
         resource-based policy allows the {action} action for the dashboard {dashboard}"
    )]
    Denied {
        /// The action.
        action: &'static str,
        /// What it is done to.
        resource: Arn,
        /// For whose refresh.
        dashboard: Arn,
    },
    /// A store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queries were not started.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
}

impl From<CatalogError> for DashboardError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Conflict { .. } => Self::Changed,
            other => Self::Catalog(other),
        }
    }
}

impl DashboardError {
    /// Whether the same may be done a little later, without anybody doing something about it.
    pub(crate) fn will_pass(&self) -> bool {
        match self {
            Self::Changed | Self::Refreshing { .. } | Self::Catalog(_) => true,
            Self::Query(error) => matches!(error, QueryError::TooMany { .. } | QueryError::Catalog(_)),
            Self::Store(error) => !matches!(error, StoreError::NotFound { .. }),
            _ => false,
        }
    }
}
