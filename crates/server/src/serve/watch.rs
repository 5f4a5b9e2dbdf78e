//! Watch: topics, log groups, rules, metrics and alarms, Sigma rules. Started in the order in which they build on one another.

use std::path::Path;
use std::sync::Arc;

use opentrail_catalog::Catalog;
use opentrail_elsewhere::{LogGroupsElsewhere, Routed, TopicsElsewhere};
use opentrail_events::{
    Archivist, Couriers, Destinations, Events, EventsOptions, EventsParts, LambdaFunctions, Outbox as Invocations,
    RecordRules, Scheduler, SqsQueues,
};
use opentrail_identity::Directory;
use opentrail_journal::Journal;
use opentrail_keys::KeyRing;
use opentrail_logs::{Logs, MetricFilters};
use opentrail_monitoring::{Monitoring, Settings};
use opentrail_nats::{NatsOptions, Publisher};
use opentrail_outbound::Outbound;
use opentrail_outbound::aws::AwsCalls;
use opentrail_projection::{Feed, run};
use opentrail_runtime::{Clock, OnError, Random, TaskGroup};
use opentrail_sigma::{Announcer, OwnAccountOnly, Settings as SigmaSettings, Sigma, SigmaApi, SigmaProjection};
use opentrail_sns::{Outbox as Deliveries, Sns, SnsOptions, SnsParts};
use opentrail_sql::Engine;
use opentrail_trails::{LogGroups, Topics};

use crate::config::{NatsSection, WatchSection};
use crate::wiring::{
    AlarmNews, EventsMetrics, FilterMetrics, FindingNews, FindingStatements, LogGroupTargets, NatsSubjects,
    TopicTargets, TrailLogGroups, TrailTopics, client_config,
};

/// What Watch works with.
pub(super) struct WatchDeps<'a> {
    pub(super) section: &'a WatchSection,
    /// Where this server is reached, when the section does not say.
    pub(super) endpoint: String,
    pub(super) data: &'a Path,
    pub(super) catalog: &'a Arc<dyn Catalog>,
    pub(super) directory: &'a Arc<Directory>,
    pub(super) keys: &'a Arc<KeyRing>,
    pub(super) journal: &'a Arc<dyn Journal>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) random: &'a Arc<dyn Random>,
}

/// The services. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) sns: Sns,
    pub(crate) monitoring: Arc<Monitoring>,
    pub(crate) logs: Logs,
    pub(crate) events: Arc<Events>,
    invocations: Arc<Invocations>,
    sigma: Arc<Sigma>,
    pub(crate) findings: SigmaApi,
    topics: Arc<dyn Topics>,
    log_groups: Arc<dyn LogGroups>,
}

impl Watch {
    /// Opens the services and starts what brings messages out and evaluates alarms; `tasks` are the projections'.
    pub(super) async fn open(deps: WatchDeps<'_>, feed: &Arc<Feed>, tasks: &TaskGroup) -> anyhow::Result<Self> {
        let WatchDeps { section, endpoint, data, catalog, directory, keys, journal, clock, random } = deps;
        let outbound = Outbound::new(section.outbound.clone())?;
        let (clock_of, random_of) = (|| Arc::clone(clock), || Arc::clone(random));
        let parts = SnsParts {
            catalog: Arc::clone(catalog),
            ring: Arc::clone(keys),
            directory: Arc::clone(directory),
            clock: clock_of(),
            random: random_of(),
            outbox: Deliveries::open(&data.join("sns.sqlite")).await?,
            outbound: outbound.clone(),
        };
        let options = SnsOptions {
            public_endpoint: section.public_endpoint.clone().unwrap_or(endpoint),
            sqs: section.sqs.clone(),
            mail: section.mail.clone(),
        };
        let sns = Sns::new(parts, options)?;
        tasks.spawn("sns", OnError::ShutDown, sns.clone().run(tasks.shutdown().clone()));

        let (logs, writer) =
            Logs::open(&data.join("logs.sqlite"), Arc::clone(directory), clock_of(), random_of()).await?;
        tasks.spawn("log groups", OnError::ShutDown, writer.run(tasks.shutdown().clone()));
        // Before maintenance: it holds back the merging of what it has not seen.
        let filters = MetricFilters::new(logs.clone());
        let maintenance = logs.clone().run_maintenance(tasks.shutdown().clone());
        tasks.spawn("log groups' maintenance", OnError::Log, maintenance);

        let mut destinations = Destinations::new()
            .with("sns", Arc::new(TopicTargets(sns.clone())))
            .with("logs", Arc::new(LogGroupTargets { logs: logs.clone(), clock: clock_of(), random: random_of() }));
        let calls = AwsCalls::new(outbound.clone(), clock_of());
        if let Some(at) = section.sqs.clone() {
            destinations = destinations.with("sqs", Arc::new(SqsQueues::new(calls.clone(), at)));
        }
        if let Some(at) = section.lambda.clone() {
            destinations = destinations.with("lambda", Arc::new(LambdaFunctions::new(calls, at)));
        }
        if let Some(section) = &section.nats {
            destinations = destinations.with("nats", Arc::new(nats_subjects(section, clock_of(), random_of())?));
        }
        let invocations = Arc::new(Invocations::open(&data.join("events.sqlite"), section.most_waiting).await?);
        let parts = EventsParts {
            catalog: Arc::clone(catalog),
            directory: Arc::clone(directory),
            ring: Arc::clone(keys),
            journal: Arc::clone(journal),
            clock: clock_of(),
            random: random_of(),
            outbound,
            destinations,
            outbox: Arc::clone(&invocations),
        };
        let events = Events::open(parts, EventsOptions::default()).await?;
        let rules = run(RecordRules::new(Arc::clone(&events)), Arc::clone(feed), clock_of(), tasks.shutdown().clone());
        tasks.spawn("rules", OnError::ShutDown, rules);
        tasks.spawn(
            "rule targets",
            OnError::ShutDown,
            Couriers::new(Arc::clone(&events)).run(tasks.shutdown().clone()),
        );

        let scheduler = Scheduler::open(Arc::clone(&events)).await?;
        tasks.spawn("scheduled rules", OnError::ShutDown, scheduler.run(tasks.shutdown().clone()));

        let archivist = Archivist::new(Arc::clone(&events));
        tasks.spawn("archives", OnError::ShutDown, archivist.run(tasks.shutdown().clone()));

        let (monitoring, alarms) = Monitoring::open(
            &data.join("metrics.sqlite"),
            Arc::clone(directory),
            clock_of(),
            random_of(),
            Arc::new(AlarmNews { sns: sns.clone(), events: Arc::clone(&events) }),
            Settings::default(),
        )
        .await?;
        tasks.spawn("alarms", OnError::ShutDown, alarms.run(tasks.shutdown().clone()));
        let metrics = monitoring.metrics().clone();
        let counted = Arc::new(EventsMetrics { metrics: metrics.clone(), clock: clock_of() });
        let counts = Arc::clone(&events).hand_on_counts(counted, tasks.shutdown().clone());
        tasks.spawn("rules' metrics", OnError::Log, counts);
        let sink = Arc::new(FilterMetrics(metrics.clone()));
        tasks.spawn("metric filters", OnError::ShutDown, filters.run(sink, tasks.shutdown().clone()));

        let file = data.join("findings.sqlite");
        let sigma = Sigma::open(&file, Arc::clone(feed), clock_of(), SigmaSettings::default()).await?;
        let hunter = SigmaProjection::new(Arc::clone(&sigma));
        let hunting = run(hunter, Arc::clone(feed), clock_of(), tasks.shutdown().clone());
        tasks.spawn("sigma", OnError::ShutDown, hunting);
        let news = FindingNews { events: Arc::clone(&events), metrics };
        let announcer = Announcer::new(Arc::clone(&sigma), Arc::new(news));
        let shutdown = tasks.shutdown().clone();
        tasks.spawn("findings", OnError::ShutDown, async move {
            announcer.run(shutdown).await;
            Ok::<_, std::convert::Infallible>(())
        });
        let findings = SigmaApi::new(Arc::clone(&sigma), Arc::clone(directory), Arc::new(OwnAccountOnly), clock_of());
        let topics = topics(section, &sns, clock)?;
        let log_groups = log_groups(section, &logs, directory, clock)?;
        Ok(Self {
            topics,
            log_groups,
            sns,
            monitoring: Arc::new(monitoring),
            logs,
            events,
            invocations,
            sigma,
            findings,
        })
    }

    /// The topics that trails tell of their files.
    pub(super) fn topics(&self) -> Arc<dyn Topics> {
        Arc::clone(&self.topics)
    }

    /// The log groups that trails write to.
    pub(super) fn log_groups(&self) -> Arc<dyn LogGroups> {
        Arc::clone(&self.log_groups)
    }

    /// With what runs statements of SQL over findings.
    pub(super) fn with_sql(mut self, engine: Arc<Engine>, clock: &Arc<dyn Clock>) -> Self {
        let statements = FindingStatements { engine, sigma: Arc::clone(&self.sigma), clock: Arc::clone(clock) };
        self.findings = self.findings.with_statements(Arc::new(statements));
        self
    }

    /// Closes the files; everything has ended by then.
    pub(super) async fn close(&self) {
        self.sns.close().await;
        self.monitoring.close().await;
        self.logs.close().await;
        self.invocations.close().await;
        self.sigma.close().await;
    }
}

fn nats_subjects(
    section: &NatsSection,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<NatsSubjects> {
    let options = NatsOptions {
        server: section.server.clone(),
        credentials: section.credentials.clone(),
        tls: client_config(section.ca.as_deref())?,
        timeout: section.timeout,
    };
    Ok(NatsSubjects {
        publisher: Publisher::new(options, clock, random),
        confirmation: section.confirmation,
        allowed: section.subjects.clone(),
    })
}

/// The topics of trails: this server's, and those elsewhere.
fn topics(section: &WatchSection, sns: &Sns, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Topics>> {
    let here: Arc<dyn Topics> = Arc::new(TrailTopics(sns.clone()));
    let Some(options) = &section.topics_elsewhere else { return Ok(here) };
    let elsewhere: Arc<dyn Topics> = Arc::new(TopicsElsewhere::new(options, clock)?);
    Ok(Arc::new(Routed { here, elsewhere, arns: options.arns.clone() }))
}

/// The log groups of trails: this server's, and those elsewhere.
fn log_groups(
    section: &WatchSection,
    logs: &Logs,
    directory: &Arc<Directory>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn LogGroups>> {
    let (directory, logs) = (Arc::clone(directory), logs.clone());
    let here: Arc<dyn LogGroups> = Arc::new(TrailLogGroups { logs, directory, clock: Arc::clone(clock) });
    let Some(options) = &section.log_groups_elsewhere else { return Ok(here) };
    let elsewhere: Arc<dyn LogGroups> = Arc::new(LogGroupsElsewhere::new(options, clock)?);
    Ok(Arc::new(Routed { here, elsewhere, arns: options.arns.clone() }))
}
