//! `opentrail serve`: puts the server together, runs it, and takes it apart in the order of the data flow.

mod banner;
mod stores;
mod trim;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusBuilder;
use opentrail_api::{JournalChange, Quotas, Services, Turns};
use opentrail_catalog::{Catalog, SqliteCatalog};
use opentrail_dashboards::{Dashboards, DashboardsDeps};
use opentrail_delivery::{Delivery, DeliveryDeps, DeliverySettings, PublicKeys, Signer};
use opentrail_follow::{Follow, FollowDeps, FollowOptions, Queue, Source};
use opentrail_gateway::{Gateway, GatewayConfig, VpcEndpoint};
use opentrail_generate::{Embedded, Generator};
use opentrail_history::{History, HistoryOptions};
use opentrail_iam::Iam;
use opentrail_identity::{AccessKeySpec, AccountSpec, Directory};
use opentrail_imports::{Imports, ImportsDeps, ImportsOptions};
use opentrail_ingest::{DedupWindow, Ingest};
use opentrail_insights::{Insights, InsightsProjection, Switches};
use opentrail_journal::{Journal, SegmentsJournal, SegmentsOptions};
use opentrail_keys::KeyRing;
use opentrail_kms::{Kms, KmsError};
use opentrail_organizations::Organizations;
use opentrail_projection::{Feed, run};
use opentrail_queries::{Queries, QueriesDeps, QueriesOptions};
use opentrail_runtime::{Clock, CrashPoint, OnError, Random, Shutdown, SystemClock, SystemRandom, TaskGroup};
use opentrail_stores::{Channels, DataKeys, ResourcePolicies, StoreKms, Stores};
use opentrail_telemetry::{Telemetry, TelemetryOptions};
use opentrail_trails::{Buckets, Trail, TrailChange, Trails};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tracing::{info, warn};

pub(crate) use self::watch::Watch;
use self::watch::WatchDeps;
use crate::boot::{self, DataDir, RootKey};
use crate::cli::{OK, ServeArgs};
use crate::config::{Config, ConfigError, FollowSection, GatewaySection, VpcEndpointSection};
use crate::front::{EmbeddedS3, Front, Listener, MOST_WATCHERS, Parts};
use crate::wiring::{
    ConfiguredSwitches, ExternalKms, FollowProjection, FollowSurroundings, GatewayPolicy, GatewayPort, ImportBuckets,
    InsightRecords, KmsKeys, LakeKms, LanguageModel, OrganizationMembers, Recording, RingSealer, SqsQueue, StoreAccess,
    StoreKeys, StoreQueries, StoreTables, TableBuckets, TrailBuckets, client_config, server_config,
};

/// How long each part may take to stop before the next is stopped all the same.
const STOP: Duration = Duration::from_secs(30);

/// Runs the server until SIGTERM or Ctrl-C.
pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<u8> {
    #[cfg(debug_assertions)]
    if let Some(step) = args.crash_at {
        step.arm();
    }
    let config = Config::load(args.config.as_deref(), std::env::vars())?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is installed already"))?;
    let metrics = PrometheusBuilder::new().install_recorder().context("cannot collect metrics")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    #[cfg(debug_assertions)]
    let clock: Arc<dyn Clock> = match args.quick_clock {
        Some(quick) => Arc::new(quick),
        None => clock,
    };
    let random: Arc<dyn Random> = Arc::new(SystemRandom);

    let data = DataDir::take(&args.data_dir)?;
    let keys = Arc::new(KeyRing::open(&data.join("keys"), Arc::clone(&random))?);
    let sqlite = Arc::new(SqliteCatalog::open(&data.join("catalog.sqlite")).await?);
    let catalog: Arc<dyn Catalog> = Arc::clone(&sqlite) as _;
    let root_keys = boot::root_keys(&catalog, &keys, &*random, args.account_id).await?;
    boot::write_credentials(&data.join("credentials"), &root_keys).context("cannot write the credentials file")?;
    let organizations = Arc::new(Organizations::open(Arc::clone(&catalog)).await?);
    let directory = directory(&config, &root_keys, Arc::new(RingSealer(Arc::clone(&keys))))?;
    let directory = Arc::new(directory.with_memberships(Arc::new(OrganizationMembers(Arc::clone(&organizations)))));
    let iam = Arc::new(Iam::open(Arc::clone(&catalog), Arc::clone(&directory), Arc::clone(&keys)).await?);

    let options = SegmentsOptions { segment_bytes: config.journal.segment_bytes, ..SegmentsOptions::default() };
    let journal: Arc<dyn Journal> = Arc::new(SegmentsJournal::open(&data.join("journal"), options)?);
    let store = opentrail_objects::Store::open(&data.join("objects"), Arc::clone(&clock))?;
    // Three groups, stopped one after another: what lets records in, what carries them, what folds them.
    let intake = TaskGroup::new(Shutdown::new());
    let carriers = TaskGroup::new(Shutdown::new());
    let projections = TaskGroup::new(Shutdown::new());
    let recording = Recording::start(Arc::clone(&journal), Arc::clone(&clock), &carriers);

    let kms = Kms::new(
        Arc::clone(&catalog),
        Arc::clone(&keys),
        Arc::clone(&directory),
        Arc::clone(&clock),
        Arc::clone(&random),
    );
    let external = config.kms.clone().map(|kms| ExternalKms::new(kms, Arc::clone(&clock), Arc::clone(&random)));
    let kms_keys = KmsKeys::new(kms.clone(), external.transpose()?, Arc::clone(&directory));
    let store_keys = StoreKeys {
        kms: kms_keys.clone(),
        directory: Arc::clone(&directory),
        recording: recording.late(),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
    };
    store.use_keys(Arc::new(store_keys.clone()));
    let trail_buckets =
        Arc::new(TrailBuckets::new(store.clone(), kms_keys.clone(), Arc::clone(&organizations), &config.destinations)?);
    let buckets: Arc<dyn Buckets> = Arc::clone(&trail_buckets) as _;

    let feed = Feed::new(Arc::clone(&journal));
    let history_dir = data.join("tables/history");
    std::fs::create_dir_all(&history_dir).with_context(|| format!("cannot make {}", history_dir.display()))?;
    let options = HistoryOptions {
        retention: config.history.retention,
        flush_age: config.history.flush_age,
        maintenance_interval: config.history.maintenance_interval,
        vacuum_age: config.history.vacuum_age,
        ..HistoryOptions::default()
    };
    let (history_projection, history) = History::open(&history_dir, options, Arc::clone(&clock)).await?;
    projections.spawn(
        "history",
        OnError::ShutDown,
        run(history_projection, Arc::clone(&feed), Arc::clone(&clock), projections.shutdown().clone()),
    );
    projections.spawn(
        "history maintenance",
        OnError::Log,
        history.clone().run_maintenance(projections.shutdown().clone()),
    );
    let sources = sources(&config, &clock)?;
    let (follow, fold) = Follow::open(Arc::clone(&catalog), Arc::clone(&clock), journal.tail(), sources).await?;
    if let Some(fold) = fold {
        let folding =
            run(FollowProjection(fold), Arc::clone(&feed), Arc::clone(&clock), projections.shutdown().clone());
        projections.spawn("follow marks", OnError::ShutDown, folding);
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let watch = Watch::open(
        WatchDeps {
            section: &config.watch,
            endpoint: format!("{scheme}://{}", args.listen),
            data: data.path(),
            catalog: &catalog,
            directory: &directory,
            keys: &keys,
            journal: &journal,
            clock: &clock,
            random: &random,
        },
        &feed,
        &projections,
    )
    .await?;
    let switches: Arc<dyn Switches> = Arc::new(ConfiguredSwitches::new(config.insights.clone()));
    let insights = Insights::open(&data.join("insights.sqlite"), switches, config.insights.most_keys).await?;
    let records = InsightRecords::new(Arc::clone(&journal), Arc::clone(&clock));
    let watching = InsightsProjection::new(Arc::clone(&insights), Arc::new(records)).beginning_after(journal.tail());
    projections.spawn(
        "insights",
        OnError::ShutDown,
        run(watching, Arc::clone(&feed), Arc::clone(&clock), projections.shutdown().clone()),
    );
    let own = TelemetryOptions {
        account: config.metrics.account.unwrap_or(args.account_id),
        region: config.metrics.region.clone(),
        interval: config.metrics.interval,
    };
    let rendered = metrics.clone();
    let telemetry =
        Telemetry::new(watch.monitoring.metrics().clone(), move || rendered.render(), Arc::clone(&clock), own);
    projections.spawn("own metrics", OnError::Log, telemetry.run(projections.shutdown().clone()));
    let delivery = Delivery::start(DeliveryDeps {
        catalog: Arc::clone(&catalog),
        feed: Arc::clone(&feed),
        buckets: Arc::clone(&buckets),
        topics: watch.topics(),
        log_groups: watch.log_groups(),
        keys: Arc::clone(&keys),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        settings: DeliverySettings {
            max_age: config.delivery.max_age,
            max_bytes: usize::try_from(config.delivery.max_bytes)?,
            digest_interval: config.delivery.digest_interval,
            aggregation_window: config.delivery.aggregation_window,
            aggregation_grace: config.delivery.aggregation_grace,
            put_timeout: config.delivery.put_timeout,
            ..DeliverySettings::default()
        },
        tasks: projections.clone(),
    })
    .await?;

    intake.spawn(
        "key maintenance",
        OnError::Log,
        keep_keys(kms.clone(), Arc::clone(&clock), intake.shutdown().clone()),
    );
    let store_kms: Arc<dyn StoreKms> =
        Arc::new(LakeKms { kms: kms_keys.clone(), organizations: Arc::clone(&organizations) });
    let data_key_age = config.stores.data_key_age;
    let data_keys = DataKeys::new(Arc::clone(&store_kms), data_key_age, Arc::clone(&clock), Arc::clone(&random));
    let tables = stores::start(
        &config.stores,
        &data.join("tables/stores"),
        &catalog,
        &feed,
        &clock,
        &directory,
        data_keys.clone(),
        &projections,
    )
    .await?;
    let trails = Trails::new(Arc::clone(&catalog));
    let stores = Stores::new(Arc::clone(&catalog));
    let mut reconciled = reconciliation(&trails.all().await?, &delivery);
    let known = stores.all().await?;
    reconciled.extend(stores::reconciliation(&known, &tables));
    let federated = known.iter().map(|store| &store.value);
    let federation = TableBuckets::new(store.clone(), data.join("tables/stores"), federated);
    CrashPoint::ServerReconcile.reach();
    recording.append_changes(&reconciled).await.context("the journal does not take records")?;
    CrashPoint::ServerReconciled.reach();
    let window = DedupWindow::load(usize::try_from(config.ingest.dedup_window)?, &*journal).await?;
    let turns = Turns::default();
    intake.spawn(
        "store retirement",
        OnError::Log,
        stores::retire(
            stores.clone(),
            turns.clone(),
            recording.clone(),
            config.stores.pending_deletion,
            Arc::clone(&clock),
            intake.shutdown().clone(),
        ),
    );
    let (spill, feed_of_stores) = (data.join("spill"), Arc::clone(&feed));
    let engine = StoreQueries::new(&config.queries, &spill, tables.clone(), feed_of_stores, Arc::clone(&clock))?;
    let sql = engine.engine();
    let queries = Queries::open(QueriesDeps {
        catalog: Arc::clone(&catalog),
        engine: Arc::new(engine),
        buckets: Arc::clone(&buckets),
        signer: Signer::new(Arc::clone(&catalog), Arc::clone(&keys)),
        keys: data_keys.clone(),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        dir: data.join("queries"),
        options: QueriesOptions {
            running: usize::try_from(config.queries.running)?,
            time_limit: config.queries.time_limit,
            history: config.queries.history,
            max_result_bytes: config.queries.max_result_bytes,
            delivery_patience: config.queries.delivery_patience,
        },
        tasks: intake.clone(),
    })
    .await?;
    let surroundings = FollowSurroundings {
        buckets: Arc::clone(&trail_buckets),
        embedded: store.clone(),
        keys: store_keys.clone(),
        trails: trails.clone(),
        directory: Arc::clone(&directory),
    };
    let origins = ImportBuckets {
        buckets: trail_buckets,
        embedded: store.clone(),
        keys: store_keys,
        directory: Arc::clone(&directory),
        clock: Arc::clone(&clock),
    };
    let imports = Imports::open(ImportsDeps {
        catalog: Arc::clone(&catalog),
        origins: Arc::new(origins),
        destinations: Arc::new(StoreTables(tables)),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        options: ImportsOptions {
            chunk_bytes: usize::try_from(config.imports.chunk_bytes)?,
            patience: config.imports.patience,
            ..ImportsOptions::default()
        },
        tasks: intake.clone(),
    })
    .await?;
    let generator: Arc<dyn Generator> = match config.generate.clone() {
        Some(section) => Arc::new(LanguageModel::new(section, Arc::clone(&clock))?),
        None => Arc::new(Embedded),
    };
    let policies = ResourcePolicies::new(Arc::clone(&catalog));
    let dashboards = Dashboards::new(DashboardsDeps {
        catalog: Arc::clone(&catalog),
        queries: queries.clone(),
        stores: stores.clone(),
        policies: policies.clone(),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
    });
    intake.spawn("dashboards", OnError::Log, dashboards.clone().run(intake.shutdown().clone()));
    let services = Services {
        trails,
        stores,
        channels: Channels::new(Arc::clone(&catalog)),
        queries,
        imports,
        generator,
        store_kms,
        federation: Arc::new(federation),
        dashboards,
        policies,
        pending_deletion: config.stores.pending_deletion,
        catalog: Arc::clone(&catalog),
        buckets,
        topics: watch.topics(),
        log_groups: watch.log_groups(),
        history,
        insights: Arc::clone(&insights),
        public_keys: PublicKeys::new(Arc::clone(&catalog), Arc::clone(&clock)),
        directory: Arc::clone(&directory),
        iam: Arc::clone(&iam),
        organizations,
        keys: Arc::clone(&keys),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        quotas: args.aws_quotas.then(|| Quotas::new(Arc::clone(&clock))),
        turns,
    };
    for (index, section) in config.follow.iter().enumerate() {
        let account = section.source.account;
        if directory.account(account).is_none() {
            let problem = format!("this server has no account {account}");
            return Err(ConfigError::of(format!("follow[{index}].account"), problem).into());
        }
    }
    let ingest = Ingest::new(Arc::clone(&journal), Arc::clone(&clock), window)
        .with_max_decoded_bytes(config.ingest.max_decoded_bytes);
    let access = StoreAccess { directory: Arc::clone(&directory), clock: Arc::clone(&clock) };
    let tls = config.tls.as_ref().map(server_config).transpose()?;
    let listener = Listener::bind(args.listen, tls)
        .await
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", args.listen))?;
    let address = listener.address()?;
    let front = Front::new(Parts {
        s3: EmbeddedS3::new(store, Arc::new(access), config.s3_domains.clone())?,
        ingest: ingest.clone(),
        recording: recording.clone(),
        follow: follow.clone(),
        feed: Arc::clone(&feed),
        watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
        calls: intake.clone(),
        services,
        kms,
        watch: watch.clone().with_sql(Arc::clone(&sql), &clock),
        sql,
        kms_elsewhere: kms_keys.external().map(ExternalKms::endpoint),
        metrics,
        ready: AtomicBool::new(false),
    });
    let mut gateways = Vec::new();
    for section in &config.gateways {
        let port =
            GatewayPort { recording: recording.clone(), directory: Arc::clone(&directory), clock: Arc::clone(&clock) };
        let gateway = bind_gateway(section, port, Arc::clone(&clock), Arc::clone(&random)).await?;
        gateways.push((gateway.local_addr(), section.upstream.clone()));
        intake.spawn("gateway", OnError::ShutDown, gateway.run(intake.shutdown().clone()));
    }
    intake.spawn("front", OnError::ShutDown, listener.run(front.clone(), intake.shutdown().clone()));
    projections.spawn(
        "trim",
        OnError::Log,
        trim::run(Arc::clone(&feed), Arc::clone(&clock), config.journal.hold_back, projections.shutdown().clone()),
    );
    projections.spawn("key uses", OnError::Log, iam.run(Arc::clone(&clock), projections.shutdown().clone()));
    follow.start(FollowDeps {
        ingest,
        surroundings: Arc::new(surroundings),
        options: FollowOptions::default(),
        tasks: intake.clone(),
    });
    front.set_ready(true);
    banner::print(scheme, address, &args.data_dir, &gateways);

    wait_for_stop([intake.shutdown(), carriers.shutdown(), projections.shutdown()]).await?;
    front.set_ready(false);
    intake.shutdown().begin();
    intake.join(STOP).await;
    // The last senders of the recording queue: once they are gone the carriers drain it and end.
    drop((front, recording));
    carriers.join(STOP).await;
    CrashPoint::ServerDrained.reach();
    projections.shutdown().begin();
    projections.join(STOP).await;
    watch.close().await;
    insights.close().await;
    journal.close().await;
    sqlite.close().await;
    info!("stopped");
    Ok(OK)
}

/// Deletes and rotates keys whose time has come, now and every hour.
async fn keep_keys(kms: Kms, clock: Arc<dyn Clock>, shutdown: Shutdown) -> Result<(), KmsError> {
    loop {
        if let Err(error) = kms.maintain().await {
            warn!(%error, "keys could not be looked after; trying again in an hour");
        }
        tokio::select! {
            () = clock.sleep(Duration::from_secs(3600)) => {}
            () = shutdown.begun() => return Ok(()),
        }
    }
}

/// Changes that a crash between the catalog's commit and the journal's append may have kept from delivery. A version that
/// delivery knows already changes nothing.
fn reconciliation(trails: &[Trail], delivery: &Delivery) -> Vec<JournalChange> {
    let gone = delivery.trails().into_iter().filter(|key| trails.iter().all(|trail| trail.key != *key));
    let there = trails.iter().map(|trail| TrailChange::PutTrail(Box::new(trail.clone())));
    there.chain(gone.map(TrailChange::DeleteTrail)).map(JournalChange::from).collect()
}

async fn wait_for_stop(failures: [&Shutdown; 3]) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let [a, b, c] = failures;
    tokio::select! {
        _ = terminate.recv() => info!("stopping on SIGTERM"),
        _ = interrupt.recv() => info!("stopping on Ctrl-C"),
        () = a.begun() => warn!("stopping, since a vital part failed"),
        () = b.begun() => warn!("stopping, since a vital part failed"),
        () = c.begun() => warn!("stopping, since a vital part failed"),
    }
    Ok(())
}

/// What is followed, each with the queue that tells of it, if one does.
type Sources = Vec<(Source, Option<Arc<dyn Queue>>)>;

fn sources(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Sources> {
    let queue = |section: &FollowSection| -> anyhow::Result<Option<Arc<dyn Queue>>> {
        let queue = section.queue.clone().map(|queue| SqsQueue::new(queue, Arc::clone(clock)));
        Ok(queue.transpose()?.map(|queue| Arc::new(queue) as _))
    };
    config.follow.iter().map(|section| Ok((section.source.clone(), queue(section)?))).collect()
}

/// Everybody whom this server knows: the accounts of the configuration, and the root keys.
fn directory(config: &Config, root_keys: &[RootKey], sealer: Arc<RingSealer>) -> anyhow::Result<Directory> {
    let mut accounts = config.accounts.clone();
    for key in root_keys {
        let index = accounts.iter().position(|account| account.id == key.account).unwrap_or_else(|| {
            accounts.push(AccountSpec::new(key.account));
            accounts.len() - 1
        });
        accounts[index].root_access_keys.push(AccessKeySpec::new(&*key.access_key_id, key.secret.clone()));
    }
    let directory = Directory::new(accounts).map_err(ConfigError::of_accounts)?;
    Ok(directory.with_sealer(sealer))
}

async fn bind_gateway(
    section: &GatewaySection,
    port: GatewayPort,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<Gateway> {
    let policy_of = |endpoint: &VpcEndpointSection, policy| GatewayPolicy {
        policy,
        endpoint_id: endpoint.id.clone(),
        owner: endpoint.owner,
        account: section.account,
        region: section.region.clone(),
        directory: Arc::clone(&port.directory),
        clock: Arc::clone(&clock),
    };
    let vpc_endpoint = section.vpc_endpoint.as_ref().map(|endpoint| VpcEndpoint {
        id: endpoint.id.clone(),
        owner: endpoint.owner,
        policy: endpoint.policy.clone().map(|policy| Arc::new(policy_of(endpoint, policy)) as _),
    });
    let config = GatewayConfig {
        listen: section.listen,
        upstream: section.upstream.clone(),
        account: section.account,
        region: section.region.clone(),
        service: section.service.clone(),
        vpc_endpoint,
        tls: section.tls.as_ref().map(server_config).transpose()?,
        upstream_tls: client_config(section.upstream_ca.as_deref())?,
        s3_hosts: section.s3_domains.clone(),
        ..GatewayConfig::default()
    };
    let port = Arc::new(port);
    Gateway::bind(config, clock, random, Arc::clone(&port) as _, port)
        .await
        .with_context(|| format!("the gateway cannot listen on {}", section.listen))
}
