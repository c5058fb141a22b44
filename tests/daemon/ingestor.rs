//! The webhook ingestor alone, between stand-ins that do as they are told.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use jobsyncd::actors::job_store::RecordReports;
use jobsyncd::actors::provider_client::FetchWebhookSecret;
use jobsyncd::actors::webhook_ingestor::{
    FinishIngesting, IngestDelivery, IngestError, IngestorOptions, Receipt, WebhookIngestor,
};
use jobsyncd::db::error::{Obstacle, StoreError};
use jobsyncd::db::observations::{Effect, Outcome, Report};
use jobsyncd::domain::content_coding::ContentCoding;
use jobsyncd::domain::job::JobId;
use jobsyncd::domain::model_filter::ModelFilter;
use jobsyncd::domain::signature::SignatureError;
use jobsyncd::provider::ProviderError;
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::support::webhook::{SECRET, Signer};

const ROTATED: &str = "whsec_cm90YXRlZC1zZWNyZXQ=";

/// What a test tells the stand-ins, and sees of them.
#[derive(Clone)]
struct StandIns {
    /// How many deliveries each commit held.
    commits: Rc<RefCell<Vec<usize>>>,
    begun: Rc<Notify>,
    let_commit: Arc<Semaphore>,
    is_lost: Rc<RefCell<bool>>,
    secret: Rc<RefCell<Option<&'static str>>>,
    fetches: Rc<RefCell<usize>>,
}

/// A store that commits only when it is let.
struct Store(StandIns);

impl Actor for Store {
    type Context = Context<Self>;
}

impl Handler<RecordReports> for Store {
    type Result = ResponseFuture<Result<Vec<Outcome>, StoreError>>;

    fn handle(&mut self, message: RecordReports, _: &mut Self::Context) -> Self::Result {
        let told = self.0.clone();
        told.commits.borrow_mut().push(message.reports.len());
        told.begun.notify_one();
        Box::pin(async move {
            told.let_commit.acquire().await.expect("it is open").forget();
            if *told.is_lost.borrow() {
                return Err(StoreError::Unavailable(Obstacle::Disconnected));
            }
            let outcome = |report: Report| Outcome {
                job_id: JobId(report.observation.provider_job_id),
                effect: Effect::Unchanged,
            };
            Ok(message.reports.into_iter().map(outcome).collect())
        })
    }
}

/// A provider whose secret can change.
struct Secrets(StandIns);

impl Actor for Secrets {
    type Context = Context<Self>;
}

impl Handler<FetchWebhookSecret> for Secrets {
    type Result = Result<SecretString, ProviderError>;

    fn handle(&mut self, _: FetchWebhookSecret, _: &mut Self::Context) -> Self::Result {
        *self.0.fetches.borrow_mut() += 1;
        let secret = *self.0.secret.borrow();
        secret.map(SecretString::from).ok_or(ProviderError::Timeout { seconds: 1 })
    }
}

impl StandIns {
    fn new() -> Self {
        Self {
            commits: Rc::default(),
            begun: Rc::default(),
            let_commit: Arc::new(Semaphore::new(0)),
            is_lost: Rc::default(),
            secret: Rc::new(RefCell::new(Some(SECRET))),
            fetches: Rc::default(),
        }
    }

    fn start_ingestor(&self) -> Addr<WebhookIngestor> {
        WebhookIngestor::new(IngestorOptions {
            provider: "replicate",
            secret: None,
            requires_signature: true,
            allowed_ips: Vec::new(),
            models: ModelFilter::new(&["*"]).expect("a pattern"),
            readers: Arc::default(),
            store: Store(self.clone()).start().recipient(),
            secrets: Secrets(self.clone()).start().recipient(),
        })
        .start()
    }

    fn let_all_commit(&self) {
        self.let_commit.add_permits(1_000);
    }
}

fn delivery(secret: &str, id: &str) -> IngestDelivery {
    let body = json!({"id": id, "status": "processing"}).to_string();
    let mut headers = Signer::new(secret).headers(id, body.as_bytes()).into_iter();
    let mut next = || headers.next().map(|(_, value)| value);
    IngestDelivery {
        address: Ipv4Addr::LOCALHOST.into(),
        id: next(),
        timestamp: next(),
        signature: next(),
        submission: None,
        body: body.into(),
        coding: ContentCoding::Identity,
        limit_bytes: 1024,
    }
}

async fn deliver(
    ingestor: &Addr<WebhookIngestor>,
    secret: &str,
    id: &str,
) -> Result<Receipt, IngestError> {
    ingestor.send(delivery(secret, id)).await.expect("an answer")
}

fn received(id: &str) -> Result<Receipt, IngestError> {
    Ok(Receipt::Received { job_id: id.into(), updates: serde_json::Map::new(), skipped: 0 })
}

fn mismatch() -> Result<Receipt, IngestError> {
    Err(SignatureError::Mismatch.into())
}

#[actix_web::test]
async fn while_one_commit_is_on_its_way_the_next_batch_gathers() {
    let stand_ins = StandIns::new();
    let ingestor = stand_ins.start_ingestor();
    let first = actix_web::rt::spawn(ingestor.send(delivery(SECRET, "p0")));
    stand_ins.begun.notified().await;

    let others: Vec<_> =
        (1..=50).map(|n| ingestor.send(delivery(SECRET, &format!("p{n}")))).collect();
    let others = actix_web::rt::spawn(join_all(others));
    // It comes after them, and needs no commit: by its answer they have all gathered.
    assert_eq!(deliver(&ingestor, ROTATED, "forged").await, mismatch());
    assert!(!first.is_finished() && !others.is_finished(), "answered before the commit");
    stand_ins.let_all_commit();

    assert_eq!(first.await.expect("no panic").expect("an answer"), received("p0"));
    for (n, answer) in (1..).zip(others.await.expect("no panic")) {
        assert_eq!(answer.expect("an answer"), received(&format!("p{n}")));
    }
    ingestor.send(FinishIngesting).await.expect("an answer");
    assert_eq!(deliver(&ingestor, SECRET, "late").await, Err(IngestError::Stopping));
    assert_eq!(*stand_ins.commits.borrow(), [1, 50]);
}

#[actix_web::test]
async fn a_commit_that_fails_is_answered_to_everyone_in_it_and_to_nobody_else() {
    let stand_ins = StandIns::new();
    let ingestor = stand_ins.start_ingestor();
    *stand_ins.is_lost.borrow_mut() = true;
    stand_ins.let_all_commit();
    let lost = join_all((0..5).map(|_| deliver(&ingestor, SECRET, "p1"))).await;
    let unavailable = IngestError::Store(StoreError::Unavailable(Obstacle::Disconnected));
    assert!(lost.iter().all(|answer| *answer == Err(unavailable.clone())), "{lost:?}");

    *stand_ins.is_lost.borrow_mut() = false;
    assert_eq!(deliver(&ingestor, SECRET, "p1").await, received("p1"));
}

#[actix_web::test]
async fn a_secret_that_the_provider_has_changed_is_found_while_it_still_repeats_its_webhooks() {
    tokio::time::pause();
    let stand_ins = StandIns::new();
    stand_ins.let_all_commit();
    let ingestor = stand_ins.start_ingestor();
    assert_eq!(deliver(&ingestor, SECRET, "p1").await, received("p1"));

    *stand_ins.secret.borrow_mut() = Some(ROTATED);
    assert_eq!(deliver(&ingestor, ROTATED, "p2").await, mismatch());
    assert_eq!(*stand_ins.fetches.borrow(), 1, "it was fetched a moment ago");
    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(deliver(&ingestor, ROTATED, "p2").await, received("p2"));
    assert_eq!(deliver(&ingestor, SECRET, "p3").await, mismatch());
    assert_eq!(*stand_ins.fetches.borrow(), 2);

    // A forger leads to a fetch every ten seconds at most.
    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(deliver(&ingestor, SECRET, "p3").await, mismatch());
    }
    assert!(*stand_ins.fetches.borrow() <= 8, "{}", stand_ins.fetches.borrow());
}

#[actix_web::test]
async fn a_provider_that_is_down_keeps_no_webhook_out_whose_key_is_known() {
    tokio::time::pause();
    let stand_ins = StandIns::new();
    stand_ins.let_all_commit();
    let ingestor = stand_ins.start_ingestor();
    assert_eq!(deliver(&ingestor, SECRET, "p1").await, received("p1"));

    *stand_ins.secret.borrow_mut() = None;
    tokio::time::advance(Duration::from_secs(2 * 3_600)).await;

    assert_eq!(deliver(&ingestor, SECRET, "p2").await, received("p2"));
    assert_eq!(deliver(&ingestor, ROTATED, "p3").await, mismatch());
}
