//! The HTTP face of the daemon: one file a resource. Handlers ask an actor and answer; what can go
//! wrong is mapped in [`error`] alone.

mod activity;
mod ask;
mod client_address;
mod cloud_notifications;
mod config_folder;
mod costs;
mod dashboard;
pub mod error;
mod events;
mod guard;
mod health;
mod job_log_stream;
mod job_logs;
mod job_path;
mod job_series;
mod job_texts;
mod jobs;
mod list_cache;
mod metrics;
mod notifications;
mod polling;
mod progress;
mod provider_status;
mod providers;
mod query;
mod queue;
mod queue_of_user;
mod retry;
mod same_request;
mod submit;
mod tokens;
mod webhook_test;
mod webhooks;

#[doc(hidden)]
pub use self::jobs::parse_job_query;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::{Compress, DefaultHeaders, Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpServer, Resource, Route};

use self::ask::Asker;
use self::error::ApiError;
use self::list_cache::ListCache;
use self::webhook_test::TestDeliveries;
use crate::actors::accountant::Accountant;
use crate::actors::broadcaster::Broadcaster;
use crate::actors::canceller::Canceller;
use crate::actors::dispatcher::Dispatcher;
use crate::actors::job_reader::JobReader;
use crate::actors::job_store::{JobStore, StoreObstacle, StoreVersion};
use crate::actors::log_keeper::LogKeeper;
use crate::actors::log_watcher::LogWatcher;
use crate::actors::notifier::Notifier;
use crate::actors::poller::Poller;
use crate::actors::provider_client::ProviderClient;
use crate::actors::pruner::Pruner;
use crate::actors::syncer::Syncer;
use crate::actors::webhook_ingestor::WebhookIngestor;
use crate::actors::webhook_monitor::WebhookMonitor;
use crate::config;
use crate::domain::cost::Prices;
use crate::listener::Listener;
use crate::provider::registry::ProviderSetup;
use crate::ui::assets::Assets;

/// How handlers reach the daemon.
#[derive(Clone)]
pub struct Doors {
    /// Who writes.
    pub store: Addr<JobStore>,
    /// Who reads.
    pub reader: Addr<JobReader>,
    /// Who polls.
    pub poller: Addr<Poller>,
    /// Who syncs.
    pub syncer: Addr<Syncer>,
    /// Who gets logs.
    pub log_watcher: Addr<LogWatcher>,
    /// Who fetches the logs of jobs that have ended.
    pub log_keeper: Addr<LogKeeper>,
    /// Who hands jobs to their providers.
    pub dispatcher: Addr<Dispatcher>,
    /// Who ends jobs.
    pub canceller: Addr<Canceller>,
    /// Who watches what is spent.
    pub accountant: Addr<Accountant>,
    /// Who tells people.
    pub notifier: Addr<Notifier>,
    /// Who notices that webhooks do not come.
    pub webhook_monitor: Addr<WebhookMonitor>,
    /// Who forgets.
    pub pruner: Addr<Pruner>,
    /// Who tells of changes.
    pub broadcaster: Addr<Broadcaster>,
    /// The providers that are set up, by name.
    pub providers: BTreeMap<&'static str, ProviderDoor>,
    /// Every provider there is.
    pub registry: Arc<[Arc<ProviderSetup>]>,
    /// What jobs cost.
    pub prices: Arc<Prices>,
    /// Tells when a remembered list is stale.
    pub version: StoreVersion,
    /// Says how the store is.
    pub obstacle: StoreObstacle,
    /// The configuration.
    pub config: Arc<config::Config>,
}

/// How handlers reach one provider.
#[derive(Clone)]
pub struct ProviderDoor {
    /// What is known of it without asking.
    pub setup: Arc<ProviderSetup>,
    /// Who makes its calls.
    pub client: Addr<ProviderClient>,
    /// Who takes its webhooks.
    pub ingestor: Addr<WebhookIngestor>,
}

/// What all handlers share.
pub struct Gateway {
    doors: Doors,
    asker: Asker,
    lists: ListCache,
    assets: Assets,
    test_deliveries: TestDeliveries,
    started: Instant,
}

impl std::ops::Deref for Gateway {
    type Target = Doors;

    fn deref(&self) -> &Doors {
        &self.doors
    }
}

impl Gateway {
    /// A gateway to a daemon that has just started.
    pub fn new(doors: Doors) -> Self {
        let config = &doors.config;
        let answer_within = Duration::from_secs(config.server.request_timeout_seconds);
        // Some questions concern several providers, and the slowest of them may need its time.
        let timeouts = doors.providers.values().map(|door| door.setup.timeout);
        let provider_within = timeouts.max().unwrap_or(answer_within);
        let lists = ListCache::new(doors.version.clone());
        let asker = Asker::new(answer_within, provider_within);
        Self {
            doors,
            asker,
            lists,
            assets: Assets::default(),
            test_deliveries: TestDeliveries::new(),
            started: Instant::now(),
        }
    }

    /// The provider with this name.
    fn provider(&self, name: &str) -> Result<&ProviderDoor, ApiError> {
        self.providers.get(name).ok_or_else(|| {
            match self.registry.iter().find(|known| known.name == name) {
                Some(known) => {
                    ApiError::ProviderNotSetUp { provider: known.name, set_up_by: known.set_up_by }
                }
                None => ApiError::UnknownProvider(name.to_owned()),
            }
        })
    }

    /// Every name that a job's provider may have: jobs outlive the configuration that found them.
    fn provider_names(&self) -> Vec<&'static str> {
        self.registry.iter().map(|known| known.name).collect()
    }
}

/// The name of a provider where one is asked for by a filter, as it is written here. One that nobody knows has no
/// jobs, which is an answer: clients ask for providers that other versions of theirs have.
fn provider_filter(name: Option<&str>, providers: &[&'static str]) -> Option<String> {
    let name = name?;
    let known = providers.iter().find(|known| known.eq_ignore_ascii_case(name));
    Some(known.map_or_else(|| name.replace('\0', "\u{fffd}"), |known| (*known).to_owned()))
}

/// Every route of the daemon.
pub fn routes(service: &mut ServiceConfig) {
    service
        .service(at("/api/cloud/jobs", "GET", web::get().to(jobs::list)))
        .service(at("/api/cloud/jobs/sync", "POST", web::post().to(jobs::sync)))
        .service(at("/api/cloud/jobs/submit", "POST", web::post().to(submit::submit)))
        .service(
            at("/api/cloud/jobs/{id}", "GET, DELETE", web::get().to(jobs::get))
                .route(web::delete().to(jobs::delete)),
        )
        .service(at("/api/cloud/jobs/{id}/timeline", "GET", web::get().to(jobs::timeline)))
        .service(at("/api/cloud/jobs/{id}/cancel", "POST", web::post().to(jobs::cancel)))
        .service(at("/api/cloud/jobs/{id}/retry", "POST", web::post().to(retry::retry)))
        .service(at(
            "/api/cloud/jobs/{id}/inline-progress",
            "GET",
            web::get().to(progress::inline_progress),
        ))
        .service(at("/api/cloud/jobs/{id}/logs", "GET", web::get().to(job_logs::get)))
        .service(at("/api/cloud/jobs/{id}/logs/download", "GET", web::get().to(job_logs::download)))
        .service(at(
            "/api/cloud/jobs/{id}/logs/stream",
            "GET",
            web::get().to(job_log_stream::stream),
        ))
        .service(at("/api/cloud/jobs/{id}/texts/{field}", "GET", web::get().to(job_texts::get)))
        .service(at("/api/cloud/jobs/{id}/series", "GET", web::get().to(job_series::get)))
        .service(at("/api/cloud/providers", "GET", web::get().to(providers::list)))
        .service(
            at(
                "/api/cloud/providers/{provider}/config",
                "GET, PUT",
                web::get().to(providers::config),
            )
            .route(web::put().to(providers::change_config)),
        )
        .service(at(
            "/api/cloud/providers/{provider}/validate",
            "GET",
            web::get().to(providers::validate),
        ))
        .service(at("/api/cloud/polling/status", "GET", web::get().to(polling::status)))
        .service(at("/api/cloud/polling/setting", "PUT", web::put().to(polling::change)))
        .service(at("/api/events", "GET", web::get().to(events::subscribe)))
        .service(at("/api/activity", "GET", web::get().to(activity::list)))
        .service(at("/api/webhooks/test", "POST", web::post().to(webhook_test::test)))
        .service(at("/api/cloud/webhook/test", "POST", web::post().to(webhook_test::test)))
        .service(
            at("/api/cloud/providers/{provider}/token", "PUT, DELETE", web::put().to(tokens::set))
                .route(web::delete().to(tokens::forget)),
        )
        .service(at(
            "/api/cloud/replicate/status",
            "GET",
            web::get().to(provider_status::of_replicate),
        ))
        .service(at("/api/cloud/system-status", "GET", web::get().to(provider_status::of_system)))
        .service(at(
            "/api/metrics/circuit-breakers",
            "GET",
            web::get().to(provider_status::breakers),
        ));
    queue_routes(service);
    dashboard::routes(service);
    service
        .service(at("/api/cloud/cost-limit/status", "GET", web::get().to(costs::limit_status)))
        .service(at("/api/cloud/hardware-options", "GET", web::get().to(costs::hardware_options)))
        .service(at("/api/cloud/cost-estimate", "POST", web::post().to(costs::estimate)));
    service
        .service(at("/api/notifications", "GET", web::get().to(notifications::list)))
        .service(at(
            "/api/notifications/dead-letters",
            "GET",
            web::get().to(notifications::dead_letters),
        ))
        .service(at(
            "/api/notifications/dead-letters/{id}/retry",
            "POST",
            web::post().to(notifications::retry),
        ))
        .service(at(
            "/api/notifications/{channel}/test",
            "POST",
            web::post().to(notifications::test),
        ));
    cloud_notifications::routes(service);
    for path in ["/api/metrics", "/api/cloud/metrics"] {
        service.service(at(path, "GET", web::get().to(metrics::summary)));
    }
    for path in ["/api/cloud/health", "/health"] {
        service.service(at(path, "GET", web::get().to(health::report)));
    }
    for path in ["/health/live", "/api/cloud/health/live"] {
        service.service(at(path, "GET", web::get().to(health::live)));
    }
    for path in ["/health/ready", "/api/cloud/health/ready"] {
        service.service(at(path, "GET", web::get().to(health::ready)));
    }
    for path in ["/api/webhooks/{provider}", "/api/cloud/webhook/{provider}"] {
        service.service(at(path, "POST", web::post().to(webhooks::receive)));
    }
    // The alias comes last, since its pattern also fits other routes.
    service.service(at(
        "/api/cloud/{provider}/validate",
        "GET",
        web::get().to(providers::validate),
    ));
}

fn queue_routes(service: &mut ServiceConfig) {
    service
        .service(at("/api/queue", "GET", web::get().to(queue::list)))
        .service(at("/api/queue/me", "GET", web::get().to(queue_of_user::of_all)))
        .service(at("/api/queue/user/{user}", "GET", web::get().to(queue_of_user::of_one)))
        .service(at("/api/queue/stats", "GET", web::get().to(queue::stats)))
        .service(at("/api/queue/position/{job_id}", "GET", web::get().to(queue::position)))
        .service(at("/api/queue/concurrency", "POST", web::post().to(queue::concurrency)))
        .service(at("/api/queue/process", "POST", web::post().to(queue::process)))
        .service(at("/api/queue/pause", "POST", web::post().to(queue::pause)))
        .service(at("/api/queue/resume", "POST", web::post().to(queue::resume)))
        .service(at("/api/queue/cleanup", "POST", web::post().to(queue::clean_up)))
        .service(at("/api/queue/{id}/cancel", "POST", web::post().to(jobs::cancel)))
        .service(at("/api/queue/{id}/priority", "POST", web::post().to(queue::prioritize)));
}

/// A resource that tells which methods it takes where another one is tried. What takes GET takes HEAD
/// ([`same_request`]).
fn at(path: &'static str, methods: &'static str, route: Route) -> Resource {
    let allowed = methods.replacen("GET", "GET, HEAD", 1);
    web::resource(path).route(route).default_service(web::to(move || {
        let refusal = ApiError::NoMethod { allowed: allowed.clone() };
        async move { Err::<&str, _>(refusal) }
    }))
}

/// Answers every path that is no route.
async fn no_route() -> Result<&'static str, ApiError> {
    Err(ApiError::NoRoute)
}

/// Leaves an HTTP/1.0 client, for example a proxy with its defaults, a stream as it can read it: in
/// one piece that ends with the connection. It knows no chunks.
async fn spare_old_clients(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let knows_chunks = request.version() != Version::HTTP_10;
    let mut answer = next.call(request).await?;
    if !knows_chunks && answer.response().body().size() == BodySize::Stream {
        let head = answer.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

/// Serves `gateway` on each of `listeners`. The server runs on threads of its own once it is awaited.
///
/// # Errors
/// Where a socket cannot be used.
pub fn serve(
    gateway: Data<Gateway>,
    listeners: Vec<Listener>,
    stop_within: Duration,
) -> std::io::Result<actix_web::dev::Server> {
    let workers = gateway.config.server.workers.get();
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(gateway.clone())
            .app_data(Data::new(webhook_test::client(&gateway.config.network)))
            .wrap(from_fn(guard::admit))
            .wrap(Compress::default())
            .wrap(
                DefaultHeaders::new()
                    .add(("cache-control", "no-store"))
                    .add(("x-content-type-options", "nosniff")),
            )
            .wrap(from_fn(spare_old_clients))
            .wrap(from_fn(same_request::unify))
            .configure(routes)
            .default_service(web::to(no_route))
    });
    let server = server
        .workers(workers)
        .disable_signals()
        // A client that closes has gone, and its stream makes room for another. Else that would
        // only be noticed by a write: after one or two heartbeats.
        .h1_allow_half_closed(false)
        .shutdown_timeout(stop_within.as_secs());
    let listen = |server: HttpServer<_, _, _, _>, listener| match listener {
        Listener::Tcp(listener) => server.listen(listener),
        Listener::Unix(listener) => server.listen_uds(listener),
    };
    Ok(listeners.into_iter().try_fold(server, listen)?.run())
}
