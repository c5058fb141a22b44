//! Delivers webhooks: signed, in the order of their job, with the provider's retries and scripted faults.
//!
//! Runs on the simulator's own thread, because an `awc::Client` belongs to the thread that built it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use awc::http::StatusCode;
use awc::{Client, Connector};
use chrono::Utc;
use tokio::sync::mpsc;

use super::deliveries::{Delivery, DeliveryNumber, DeliveryOutcome};
use super::faults::WebhookFaultKind;
use super::state::Shared;
use super::status::Status;
use super::webhooks::WebhookEvent;

/// What is read of a receiver's answer, so that its connection can be used again.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024;

/// A webhook on its way.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) job_id: String,
    pub(super) event: WebhookEvent,
    pub(super) status: Status,
    pub(super) url: String,
    pub(super) webhook_id: String,
    pub(super) body: Bytes,
}

/// The webhooks of one job that wait for the one before them.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Outgoing>,
    /// Held back by a fault until the next one has been sent.
    held_back: Option<Outgoing>,
    is_busy: bool,
}

/// Takes webhooks and looks at due jobs for as long as the simulator lives.
pub(super) async fn run(shared: Arc<Shared>, mut outgoing: mpsc::UnboundedReceiver<Outgoing>) {
    let courier = Rc::new(Courier {
        client: client(shared.options.webhook_timeout),
        lanes: RefCell::new(HashMap::new()),
        shared: Arc::clone(&shared),
    });
    let mut revisions = shared.revision.subscribe();
    loop {
        let now = Utc::now();
        let next_look_at = shared.look_at_due(now);
        let wait = next_look_at.map(|at| (at - now).to_std().unwrap_or(Duration::ZERO));
        tokio::select! {
            webhook = outgoing.recv() => match webhook {
                Some(webhook) => courier.take(webhook),
                None => return,
            },
            changed = revisions.changed() => if changed.is_err() { return },
            () = sleep_or_forever(wait) => {}
        }
    }
}

async fn sleep_or_forever(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn client(timeout: Duration) -> Client {
    // An error says that a provider is installed already, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connector(Connector::new().timeout(timeout).limit(1000))
        .timeout(timeout)
        .disable_redirects()
        .finish()
}

struct Courier {
    client: Client,
    lanes: RefCell<HashMap<String, Lane>>,
    shared: Arc<Shared>,
}

impl Courier {
    /// Puts a webhook into the lane of its job, and starts the lane if nobody drives it.
    fn take(self: &Rc<Self>, webhook: Outgoing) {
        let job_id = webhook.job_id.clone();
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.entry(job_id.clone()).or_default();
        lane.waiting.push_back(webhook);
        if !std::mem::replace(&mut lane.is_busy, true) {
            actix_rt::spawn(Rc::clone(self).drive(job_id));
        }
    }

    /// Sends what waits in a lane, one after the other.
    async fn drive(self: Rc<Self>, job_id: String) {
        while let Some(webhook) = self.next(&job_id) {
            let fault = self.shared.lock().faults.take_webhook(webhook.event);
            match fault {
                Some(WebhookFaultKind::HoldBack) => {
                    self.lane(&job_id, |lane| lane.held_back = Some(webhook));
                    self.settle_one();
                    continue;
                }
                Some(WebhookFaultKind::Drop) => self.drop_unsent(&webhook),
                Some(WebhookFaultKind::Duplicate) => {
                    self.deliver(&webhook).await;
                    self.deliver(&webhook).await;
                }
                Some(WebhookFaultKind::Delay { milliseconds }) => {
                    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                    self.deliver(&webhook).await;
                }
                None => self.deliver(&webhook).await,
            }
            // It settles with the one it was held back for.
            if let Some(late) = self.lane(&job_id, |lane| lane.held_back.take()).flatten() {
                self.deliver(&late).await;
            }
            self.settle_one();
        }
    }

    /// The next webhook of a lane; an empty lane is closed unless something is held back in it.
    fn next(&self, job_id: &str) -> Option<Outgoing> {
        let mut lanes = self.lanes.borrow_mut();
        let lane = lanes.get_mut(job_id)?;
        let next = lane.waiting.pop_front();
        lane.is_busy = next.is_some();
        if next.is_none() && lane.held_back.is_none() {
            lanes.remove(job_id);
        }
        next
    }

    fn lane<T>(&self, job_id: &str, change: impl FnOnce(&mut Lane) -> T) -> Option<T> {
        self.lanes.borrow_mut().get_mut(job_id).map(change)
    }

    /// Sends a webhook until it is taken or given up; only `completed` is tried more than once.
    async fn deliver(&self, webhook: &Outgoing) {
        let number = self.begin(webhook);
        let mut delays = self.shared.options.webhook_retry_delays.iter();
        loop {
            let status = self.attempt(webhook).await;
            let next_delay = if may_retry(webhook.event, status) { delays.next() } else { None };
            let outcome = match next_delay {
                Some(_) => DeliveryOutcome::UnderWay,
                None if status.is_some_and(|status| status.is_success()) => {
                    DeliveryOutcome::Delivered
                }
                None => DeliveryOutcome::GivenUp,
            };
            self.record(number, |delivery| {
                delivery.attempts += 1;
                delivery.last_status = status.map(|status| status.as_u16());
                delivery.outcome = outcome;
            });
            match next_delay {
                Some(delay) => tokio::time::sleep(*delay).await,
                None => return,
            }
        }
    }

    /// Sends a webhook once and answers the status, or `None` if there was no answer.
    async fn attempt(&self, webhook: &Outgoing) -> Option<StatusCode> {
        let timestamp_seconds = Utc::now().timestamp();
        let signature =
            self.shared.signer.sign(&webhook.webhook_id, timestamp_seconds, &webhook.body);
        let request = self
            .client
            .post(&webhook.url)
            .insert_header(("content-type", "application/json"))
            .insert_header(("webhook-id", webhook.webhook_id.as_str()))
            .insert_header(("webhook-timestamp", timestamp_seconds.to_string()))
            .insert_header(("webhook-signature", signature));
        match request.send_body(webhook.body.clone()).await {
            Ok(mut answer) => {
                // Nobody reads it, but an unread answer costs the connection.
                let _ = answer.body().limit(ANSWER_LIMIT_BYTES).await;
                Some(answer.status())
            }
            Err(error) => {
                log::debug!("webhook {} to {} failed: {error}", webhook.webhook_id, webhook.url);
                None
            }
        }
    }

    fn drop_unsent(&self, webhook: &Outgoing) {
        let number = self.begin(webhook);
        self.record(number, |delivery| delivery.outcome = DeliveryOutcome::Dropped);
    }

    fn begin(&self, webhook: &Outgoing) -> DeliveryNumber {
        self.shared.lock().deliveries.begin(Delivery {
            job_id: webhook.job_id.clone(),
            event: webhook.event,
            status: webhook.status.clone(),
            webhook_id: webhook.webhook_id.clone(),
            attempts: 0,
            last_status: None,
            outcome: DeliveryOutcome::UnderWay,
        })
    }

    fn record(&self, number: DeliveryNumber, change: impl FnOnce(&mut Delivery)) {
        if let Some(delivery) = self.shared.lock().deliveries.get_mut(number) {
            change(delivery);
        }
        self.shared.announce();
    }

    fn settle_one(&self) {
        self.shared.outstanding.send_modify(|count| *count -= 1);
    }
}

/// The last webhook is retried on no answer, 4xx and 5xx; a redirect is an answer, and not followed.
fn may_retry(event: WebhookEvent, status: Option<StatusCode>) -> bool {
    let has_failed =
        status.is_none_or(|status| status.is_client_error() || status.is_server_error());
    event == WebhookEvent::Completed && has_failed
}
