//! The daemon on one screen: which actors there are, in what order they start, and how they stop.
//!
//! ```text
//!  webhook ──► WebhookIngestor ─┐                                  ┌─► SSE clients
//!  timer ────► Poller ──► ProviderClient ──► observation ──► JobStore ──► Broadcaster
//!  POST sync ► Syncer ──► ProviderClient ─┘  (merge, commit)
//!  GET ──────► JobReader;  inline progress ──► LogWatcher ──► ProviderClient
//!  POST submit ► Dispatcher ──► ProviderClient, JobStore;  POST cancel ► Canceller ──► the same
//!  timer ────► Notifier ──► people;  timer ──► Accountant ──► JobStore
//!  end ──────► LogKeeper ──► ProviderClient, JobStore;  timer ──► Pruner ──► JobStore
//! ```

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use tokio::sync::oneshot;
use url::Url;

use crate::actors::accountant::{Accountant, StopAccounting};
use crate::actors::broadcaster::{Announce, Broadcaster, CloseStreams};
use crate::actors::canceller::{Canceller, CancellerOptions, StopCancelling};
use crate::actors::dispatcher::{Destination, Dispatcher, DispatcherOptions, StopDispatching};
use crate::actors::job_reader::{GetSetting, JobReader, Read};
use crate::actors::job_store::{
    CloseStore, JobStore, JobStoreOptions, StoreObstacle, StoreVersion,
};
use crate::actors::log_keeper::{LogKeeper, LogKeeperOptions, StopKeeping};
use crate::actors::log_watcher::LogWatcher;
use crate::actors::notifier::{Notifier, NotifierOptions, StopNotifying};
use crate::actors::poller::{Poller, PollerOptions, StopPolling};
use crate::actors::provider_client::ProviderClient;
use crate::actors::pruner::{Pruner, StopPruning};
use crate::actors::syncer::{SyncSource, Syncer};
use crate::actors::webhook_ingestor::{FinishIngesting, IngestorOptions, WebhookIngestor};
use crate::actors::webhook_monitor::{WebhookMonitor, WebhookMonitorOptions};
use crate::config::{self, Config};
use crate::db::database::{Claim, ClaimError, Database, Session};
use crate::db::error::{Obstacle, StoreError};
use crate::db::migration::SchemaError;
use crate::db::settings::Setting;
use crate::db::{events, job_search, notifications};
use crate::domain::cost::Prices;
use crate::domain::event::{Notice, Seq};
use crate::domain::timestamp::now;
use crate::domain::webhook_urls::{self, WebhookUrl, WebhookUrls};
use crate::http::{self, Doors, Gateway, ProviderDoor};
use crate::listener::Listener;
use crate::provider::log_readers::LogReaders;
use crate::provider::registry::{self, ProviderSetup};
use crate::provider::{SharedProvider, cog};

/// How long requests that are under way may take to end when the daemon stops.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error("cannot use the database {url}: {error}")]
    Database {
        /// Which database, without its password.
        url: String,
        /// Why not.
        error: ClaimError,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The address is open to others, and there is no API key.
    #[error(
        "refusing to listen on {0} without an API key: set server.api_keys, or bind a loopback address"
    )]
    Exposed(SocketAddr),
}

impl StartError {
    /// Whether a start can only succeed after somebody has changed something.
    pub fn is_lasting(&self) -> bool {
        let damaged = StoreError::Unavailable(Obstacle::Damaged);
        match self {
            Self::Database { error: ClaimError::Schema(error), .. } => match error {
                SchemaError::Store(error) => *error == damaged,
                SchemaError::Unknown { .. } => true,
            },
            Self::Database { .. } | Self::Listen { .. } => false,
            Self::Exposed(_) => true,
        }
    }
}

/// The background tasks of the daemon: everything but its HTTP server. An embedder starts them in
/// its own actix system, asks whether they run, and stops them.
///
/// ```
/// use jobsyncd::config::{Config, Sources};
/// use jobsyncd::daemon::BackgroundTasks;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("jobsyncd-doc-{}", std::process::id()));
/// # let database = format!("sqlite://{}", folder.join("jobs.db").display());
/// let sources = Sources::from_environment([("JOBSYNCD__DATABASE__URL", database.as_str())]);
/// let config = Config::load(&sources)?;
/// actix_rt::System::new().block_on(async {
///     let mut tasks = BackgroundTasks::start(config).await?;
///     assert!(tasks.is_running());
///     tasks.stop().await;
///     assert!(!tasks.is_running());
///     Ok::<_, jobsyncd::daemon::StartError>(())
/// })?;
/// # std::fs::remove_dir_all(folder)?;
/// # Ok(())
/// # }
/// ```
pub struct BackgroundTasks {
    doors: Doors,
    arbiters: Vec<Arbiter>,
    is_running: bool,
    /// Until the store is closed.
    claim: Option<Claim>,
}

/// The running daemon: the background tasks and the HTTP server before them.
pub struct Daemon {
    tasks: BackgroundTasks,
    address: SocketAddr,
    server: ServerHandle,
}

impl BackgroundTasks {
    /// Opens the database and starts every actor, each after those that it depends on.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // awc panics where TLS has no provider of cryptography. An error says that the program has
        // chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Arc::new(config);
        let database = open_database(&config)?;
        let prices = Arc::new(prices(&config.providers));
        let version = StoreVersion::default();
        let obstacle = StoreObstacle::of(database.database.clone());
        let mut arbiters = Vec::new();

        let reader = JobReader::start(database.database.clone());
        let broadcaster = {
            let (limits, reader) = (config.events.clone(), reader.clone());
            start_in(&mut arbiters, move || {
                let (events, bounds) = (reader.clone().recipient(), reader.recipient());
                Broadcaster::new(limits, events, bounds, database.newest_event)
            })
        };
        // Their addresses come before them: the store tells them of ends, and they have things stored.
        let log_keeper = Context::new();
        let dispatcher = Context::new();
        let webhook_monitor = Context::new();
        let store = JobStore::start(JobStoreOptions {
            database: database.database,
            connection: database.writer,
            newest_event: database.newest_event,
            prices: prices.clone(),
            version: version.clone(),
            obstacle: obstacle.clone(),
            announcements: broadcaster.clone().recipient(),
            log_keeper: log_keeper.address().recipient(),
            dispatcher: dispatcher.address().recipient(),
            webhook_monitor: webhook_monitor.address().recipient(),
        });
        let readers = Arc::new(LogReaders::new(config.logs.job_bytes_max));
        let (registry, providers) =
            start_providers(&mut arbiters, &config, &readers, &store, &broadcaster).await;
        let syncer = Syncer::new(
            sync_sources(&providers),
            store.clone().recipient(),
            store.clone().recipient(),
            broadcaster.clone().recipient(),
        )
        .start();
        let log_watcher = {
            let clients = recipients(&providers);
            let time_to_live = Duration::from_secs(config.progress.ttl_seconds);
            LogWatcher::new(clients, store.clone().recipient(), time_to_live).start()
        };
        let log_keeper = log_keeper.run(LogKeeper::new(LogKeeperOptions {
            providers: recipients(&providers),
            store: store.clone().recipient(),
            absences: store.clone().recipient(),
            reader: reader.clone().recipient(),
        }));
        let dispatcher = dispatcher.run(Dispatcher::new(DispatcherOptions {
            is_enabled: config.queue_processing.enabled,
            interval: Duration::from_secs(config.queue_processing.interval_seconds),
            limits: config.queue.limits(),
            destinations: destinations(&providers),
            enqueue: store.clone().recipient(),
            claim: store.clone().recipient(),
            refuse: store.clone().recipient(),
            record: store.clone().recipient(),
            unresolved: reader.clone().recipient(),
            known: reader.clone().recipient(),
        }));
        let canceller = Canceller::new(CancellerOptions {
            providers: recipients(&providers),
            request: store.clone().recipient(),
            withdraw: store.clone().recipient(),
            record: store.clone().recipient(),
            wanted: reader.clone().recipient(),
        })
        .start();
        let poller = Poller::new(PollerOptions {
            configured: config.polling.explicit,
            interval_seconds: config.polling.interval_seconds,
            reconciliation_interval_seconds: config.reconciliation.interval_seconds,
            preference: setting(&reader, Setting::PollingPreference)
                .await
                .and_then(|text| text.parse().ok()),
            webhook_urls: webhook_urls(&reader, &providers).await,
            reader: reader.clone().recipient(),
            settings: store.clone().recipient(),
            providers: recipients(&providers),
        })
        .start();
        let webhook_monitor = webhook_monitor.run(WebhookMonitor::new(WebhookMonitorOptions {
            store: store.clone().recipient(),
            poller: poller.clone().recipient(),
        }));
        let accountant = Accountant::new(
            config.costs.budget,
            prices.clone(),
            reader.clone().recipient(),
            store.clone().recipient(),
        )
        .start();
        let notifier = {
            let options = NotifierOptions {
                network: config.network.clone(),
                config: config.notifications.clone(),
                plan: store.clone().recipient(),
                due: reader.clone().recipient(),
                condense: store.clone().recipient(),
                note: store.clone().recipient(),
            };
            start_in(&mut arbiters, move || Notifier::new(options))
        };
        let pruner =
            Pruner::new(config.events.clone(), config.logs.clone(), store.clone().recipient())
                .start();

        let doors = Doors {
            store,
            reader,
            poller,
            syncer,
            log_watcher,
            log_keeper,
            dispatcher,
            canceller,
            accountant,
            notifier,
            webhook_monitor,
            pruner,
            broadcaster,
            providers,
            registry,
            prices,
            version,
            obstacle,
            config,
        };
        Ok(Self { doors, arbiters, is_running: true, claim: Some(database.claim) })
    }

    /// Whether the tasks run.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// How to reach the tasks: the addresses of their actors.
    pub fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Stops the tasks: first the timers, then the streams, then, when the last webhook is
    /// committed, the rest. Stopping again does nothing.
    pub async fn stop(&mut self) {
        self.stop_producers().await;
        self.finish().await;
    }

    /// Stops what begins work by itself, and the streams, which would hold up an HTTP server.
    async fn stop_producers(&mut self) {
        // An actor that is gone already has nothing left to stop.
        let _ = self.doors.poller.send(StopPolling).await;
        let _ = self.doors.pruner.send(StopPruning).await;
        let _ = self.doors.log_keeper.send(StopKeeping).await;
        let _ = self.doors.notifier.send(StopNotifying).await;
        let _ = self.doors.accountant.send(StopAccounting).await;
        let _ = self.doors.canceller.send(StopCancelling).await;
        let _ = self.doors.dispatcher.send(StopDispatching).await;
        let _ = self.doors.broadcaster.send(CloseStreams).await;
    }

    /// Ends what is under way and stops the threads.
    async fn finish(&mut self) {
        for door in self.doors.providers.values() {
            let _ = door.ingestor.send(FinishIngesting).await;
        }
        let _ = self.doors.store.send(CloseStore).await;
        self.claim = None;
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
        }
        self.is_running = false;
    }
}

impl Daemon {
    /// Starts the tasks and serves them over HTTP on `listeners`, which systemd may have opened, or on the
    /// configured address where there is none.
    ///
    /// # Errors
    /// Where the database or the address cannot be used.
    pub async fn start(
        config: Config,
        listeners: impl IntoIterator<Item = Listener>,
    ) -> Result<Self, StartError> {
        let bind = config.server.bind;
        let listen_error = |error| StartError::Listen { address: bind, error };
        let mut listeners: Vec<_> = listeners.into_iter().collect();
        if listeners.is_empty() {
            listeners.push(Listener::open(bind).map_err(listen_error)?);
        }
        let addresses: Result<Vec<_>, _> = listeners.iter().map(Listener::address).collect();
        let addresses: Vec<_> = addresses.map_err(listen_error)?.into_iter().flatten().collect();
        if let Some(exposed) = addresses.iter().find(|one| !config.server.may_listen_on(one)) {
            return Err(StartError::Exposed(*exposed));
        }
        let names: Vec<_> = listeners.iter().map(ToString::to_string).collect();
        let tasks = BackgroundTasks::start(config).await?;
        let gateway = Data::new(Gateway::new(tasks.doors.clone()));
        let server = http::serve(gateway, listeners, STOP_WITHIN).map_err(listen_error)?;
        let handle = server.handle();
        actix_rt::spawn(server);
        for name in names {
            log::info!("listening on {name}");
        }
        let address = addresses.first().copied().unwrap_or(bind);
        Ok(Self { tasks, address, server: handle })
    }

    /// The first TCP address that is listened on, with its real port where any was asked for; the configured
    /// one where there are only Unix sockets.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The background tasks.
    pub fn tasks(&self) -> &BackgroundTasks {
        &self.tasks
    }

    /// Stops the daemon. What was acknowledged is kept; requests under way get their answer, but
    /// not longer than a few seconds.
    pub async fn stop(mut self) {
        self.tasks.stop_producers().await;
        self.server.stop(true).await;
        self.tasks.finish().await;
        log::info!("stopped");
    }
}

struct OpenDatabase {
    database: Arc<Database>,
    claim: Claim,
    writer: Session,
    newest_event: Seq,
}

fn open_database(config: &Config) -> Result<OpenDatabase, StartError> {
    let open = || {
        let (database, claim) = Database::claim(&config.database)?;
        let mut writer = database.writer()?;
        writer.migrate()?;
        job_search::fill(&mut writer)?;
        let channels = &config.notifications.channels;
        let names: Vec<_> = channels.keys().map(String::as_str).collect();
        let receivers: Vec<_> = channels.values().map(|channel| channel.url.receiver()).collect();
        notifications::enlist(&mut writer, &names, &receivers, now())?;
        let newest_event = events::bounds(&mut writer)?.newest;
        database.check_written()?;
        Ok(OpenDatabase { database, claim, writer, newest_event })
    };
    open().map_err(|error| StartError::Database { url: config.database.url.to_string(), error })
}

/// Starts an actor in an arbiter of its own: its own thread.
fn start_in<A>(arbiters: &mut Vec<Arbiter>, make: impl FnOnce() -> A + Send + 'static) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
{
    let arbiter = Arbiter::new();
    let address = A::start_in_arbiter(&arbiter.handle(), move |_| make());
    arbiters.push(arbiter);
    address
}

/// The providers that are set up, by name.
type Providers = BTreeMap<&'static str, ProviderDoor>;

/// Starts whoever calls the providers and takes their webhooks. Answers every provider there is, and how to
/// reach those that are set up.
async fn start_providers(
    arbiters: &mut Vec<Arbiter>,
    config: &Config,
    readers: &Arc<LogReaders>,
    store: &Addr<JobStore>,
    broadcaster: &Addr<Broadcaster>,
) -> (Arc<[Arc<ProviderSetup>]>, Providers) {
    let (mut registry, mut doors) = (Vec::new(), Providers::new());
    for connection in registry::connections(config, readers) {
        let setups: Vec<_> = connection.providers.iter().cloned().map(Arc::new).collect();
        if connection.providers.iter().any(|setup| setup.is_set_up) {
            let mut clients = start_clients(arbiters, connection, store, broadcaster).await;
            for setup in setups.iter().filter(|setup| setup.is_set_up) {
                let Some(client) = clients.remove(setup.name) else { continue };
                let ingestor = start_ingestor(arbiters, setup, readers, store, &client);
                doors.insert(setup.name, ProviderDoor { setup: setup.clone(), client, ingestor });
            }
        }
        registry.extend(setups);
    }
    (registry.into(), doors)
}

/// Starts the clients of the providers of one connection, in the one arbiter to which it belongs.
async fn start_clients(
    arbiters: &mut Vec<Arbiter>,
    connection: registry::Connection,
    store: &Addr<JobStore>,
    broadcaster: &Addr<Broadcaster>,
) -> HashMap<&'static str, Addr<ProviderClient>> {
    let registry::Connection { providers, connect } = connection;
    let (store, broadcaster) = (store.clone().recipient(), broadcaster.clone());
    let (sender, clients) = oneshot::channel();
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(move || {
        let set_up = providers.into_iter().filter(|setup| setup.is_set_up).collect();
        let providers = connect(Box::new(move |reason| tell_health(&broadcaster, &set_up, reason)));
        let start = |provider: SharedProvider| {
            (provider.name(), ProviderClient::new(provider, store.clone()).start())
        };
        // Nobody waits any more only where the whole start was given up.
        let _ = sender.send(providers.into_iter().map(start).collect());
    });
    arbiters.push(arbiter);
    clients.await.unwrap_or_default()
}

/// Tells that a connection went out of order, and why, or that it came back.
fn tell_health(
    broadcaster: &Addr<Broadcaster>,
    providers: &Vec<ProviderSetup>,
    reason: Option<String>,
) {
    for ProviderSetup { name, title, .. } in providers {
        match &reason {
            Some(reason) => log::error!("{title} is out of order: {reason}"),
            None => log::info!("{title} is back"),
        }
        let (provider, degraded, reason) = (name.to_string(), reason.is_some(), reason.clone());
        let notice = Notice::ProviderDegraded { provider, degraded, reason };
        broadcaster.do_send(Announce::notice(notice));
    }
}

fn start_ingestor(
    arbiters: &mut Vec<Arbiter>,
    setup: &ProviderSetup,
    readers: &Arc<LogReaders>,
    store: &Addr<JobStore>,
    client: &Addr<ProviderClient>,
) -> Addr<WebhookIngestor> {
    let options = IngestorOptions {
        provider: setup.name,
        secret: setup.webhooks.secret.clone(),
        requires_signature: setup.webhooks.requires_signature,
        allowed_ips: setup.webhooks.allowed_ips.clone(),
        models: setup.models.clone(),
        readers: readers.clone(),
        store: store.clone().recipient(),
        secrets: client.clone().recipient(),
    };
    start_in(arbiters, move || WebhookIngestor::new(options))
}

/// The same message to every provider.
fn recipients<M>(providers: &Providers) -> HashMap<String, Recipient<M>>
where
    M: Message + Send + 'static,
    M::Result: Send,
    ProviderClient: Handler<M>,
    <ProviderClient as Actor>::Context: actix::dev::ToEnvelope<ProviderClient, M>,
{
    let recipient = |door: &ProviderDoor| door.client.clone().recipient();
    providers.iter().map(|(name, door)| ((*name).to_owned(), recipient(door))).collect()
}

/// What can be synced: the providers that have a list.
fn sync_sources(providers: &Providers) -> HashMap<String, SyncSource> {
    let listing = providers.iter().filter(|(_, door)| door.setup.capabilities.lists_jobs);
    let source = |door: &ProviderDoor| SyncSource {
        client: door.client.clone().recipient(),
        models: door.setup.models.clone(),
    };
    listing.map(|(name, door)| ((*name).to_owned(), source(door))).collect()
}

/// Where the queue's jobs go.
fn destinations(providers: &Providers) -> HashMap<String, Destination> {
    let destination = |door: &ProviderDoor| Destination {
        submit: door.client.clone().recipient(),
        candidates: door.client.clone().recipient(),
        job: door.client.clone().recipient(),
        recall: (!door.setup.capabilities.lists_jobs).then(|| door.client.clone().recipient()),
        settle: door.setup.settle,
    };
    providers.iter().map(|(name, door)| ((*name).to_owned(), destination(door))).collect()
}

fn prices(config: &config::Providers) -> Prices {
    let config::Providers { replicate, cog } = config;
    let own = cog.hardware.clone().map(|hardware| (cog::NAME.to_owned(), hardware));
    Prices::replicate(replicate.hardware_info.clone())
        .with_models(replicate.model_hardware.clone())
        .with_machines(own.into_iter().collect())
}

async fn setting(reader: &Addr<JobReader>, setting: Setting) -> Option<String> {
    match reader.send(Read(GetSetting(setting))).await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            log::error!("the setting {setting:?} cannot be read: {error}");
            None
        }
        Err(_) => None,
    }
}

/// Where each provider reaches our webhook. An empty URL was set through the API to be none.
async fn webhook_urls(reader: &Addr<JobReader>, providers: &Providers) -> WebhookUrls {
    let mut urls = Vec::new();
    for (name, door) in providers {
        let chosen = setting(reader, Setting::WebhookUrl(name)).await;
        let webhooks = &door.setup.webhooks;
        let url = WebhookUrl {
            configured: webhooks.url.clone(),
            chosen: chosen.map(|text| {
                // Earlier versions took a URL without a path as it was.
                Url::parse(&text).ok().map(|url| webhook_urls::routed(&url, name).unwrap_or(url))
            }),
            follows: webhooks.follows,
        };
        urls.push((*name, url));
    }
    urls.into_iter().collect()
}
