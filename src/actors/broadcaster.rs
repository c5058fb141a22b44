//! The broadcaster: tells every subscriber of the event stream what has changed, in order, without
//! a hole or a duplicate.
//!
//! A subscriber that comes back says which event it saw last. What it missed is read from the log
//! of events, and it joins those who listen live in the same turn of this actor in which the last
//! missed event is handed to it: nothing can be announced in between. Buffers are bounded; who does
//! not keep up is cut off, and comes back by its id.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web_lab::sse;
use tokio::sync::{mpsc, watch};

use super::event_replay::{Replay, as_sse, for_page, greeting, heartbeat};
use super::job_reader::{GetLogBounds, ListEvents, Read};
use super::webhook_ingestor::BATCH_MAX;
use crate::config;
use crate::domain::event::{LoggedEvent, Notice, Seq};
use crate::domain::job::JobId;
use crate::domain::pacing::Pacer;

/// How many events wait for one subscriber before it is cut off. One commit is handed out in one
/// turn, before any subscriber can take from its buffer: this must hold the events of the
/// largest batch of webhooks, what SimpleTuner's page is told beside them and their progress together, or else one
/// commit would cut off everybody.
const BUFFERED_EVENTS: usize = 2_048;
const _: () = assert!(BUFFERED_EVENTS >= 4 * BATCH_MAX);
/// How many of the newest events are kept in memory for those who were away for a moment.
const REMEMBERED_EVENTS: usize = 1_024;
/// How often the progress of one job is told at most.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Changes that are committed.
#[derive(Debug, Clone, Default, Message)]
#[rtype(result = "()")]
pub struct Announce {
    /// What was added to the log, in its order.
    pub events: Vec<LoggedEvent>,
    /// What is told only to those who listen now.
    pub notices: Vec<Notice>,
    /// The jobs that have ended, of whose progress nothing more is told.
    pub ended: Vec<JobId>,
}

impl Announce {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.notices.is_empty()
    }

    /// Events alone.
    pub fn events(events: Vec<LoggedEvent>) -> Self {
        Self { events, ..Self::default() }
    }

    /// A single notice.
    pub fn notice(notice: Notice) -> Self {
        Self { notices: vec![notice], ..Self::default() }
    }
}

/// Opens a stream of events.
#[derive(Debug, Message)]
#[rtype(result = "Result<mpsc::Receiver<sse::Event>, SubscribeError>")]
pub struct Subscribe {
    /// The client's address.
    pub address: IpAddr,
    /// The last event that the client saw, as it says.
    pub last_event_id: Option<String>,
}

/// Makes room for a stream of a log, which counts as one of events.
#[derive(Debug, Message)]
#[rtype(result = "Result<StreamSlot, SubscribeError>")]
pub struct OpenLogStream {
    /// The client's address.
    pub address: IpAddr,
}

/// The room of one stream, for as long as it is held.
#[derive(Debug)]
pub struct StreamSlot {
    closing: watch::Receiver<()>,
    _held: Arc<()>,
}

impl StreamSlot {
    /// Waits until every stream is to end.
    pub async fn closing(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        while self.closing.changed().await.is_ok() {}
    }
}

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The address has as many as it may.
    #[error("this address has {limit} streams open already, which is the limit")]
    TooManyFromAddress {
        /// The limit.
        limit: usize,
    },
    /// All have as many as they may.
    #[error("{limit} streams are open already, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Closing,
}

/// Ends every stream, and lets nobody subscribe any more. Open streams would hold up the server's
/// stop.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseStreams;

/// Counts the open streams.
#[derive(Debug, Message)]
#[rtype(result = "Result<usize, SubscribeError>")]
pub struct CountSubscribers;

/// A subscriber has been handed everything up to a position from the log, and wants to listen
/// live. Answers the subscriber where the log has gone on too far meanwhile.
#[derive(Message)]
#[rtype(result = "Result<(), Subscriber>")]
pub(super) struct Join {
    pub(super) subscriber: Subscriber,
    pub(super) position: Seq,
}

/// One open stream.
#[derive(Debug)]
pub(super) struct Subscriber {
    address: IpAddr,
    pub(super) sender: mpsc::Sender<sse::Event>,
}

/// A subscriber that listens live.
#[derive(Debug)]
struct Listener {
    subscriber: Subscriber,
    /// The last event that it was handed. The log can be ahead of the announcements, so that what
    /// is announced next may be known to it already.
    position: Seq,
}

/// A subscriber that is being handed what it missed.
#[derive(Debug)]
struct Returner {
    address: IpAddr,
    /// Tells whether the stream is still open.
    sender: mpsc::WeakSender<sse::Event>,
    replay: SpawnHandle,
}

impl Returner {
    fn is_open(&self) -> bool {
        self.sender.upgrade().is_some_and(|sender| !sender.is_closed())
    }
}

/// The actor. See the top of this file.
pub struct Broadcaster {
    limits: config::Events,
    reader: Recipient<Read<ListEvents>>,
    bounds: Recipient<Read<GetLogBounds>>,
    newest: Seq,
    recent: VecDeque<LoggedEvent>,
    live: Vec<Listener>,
    catching_up: Vec<Returner>,
    log_streams: Vec<(IpAddr, Weak<()>)>,
    /// None once every stream is to end.
    closing: Option<watch::Sender<()>>,
    progress: Pacer<JobId, Notice>,
    progress_timer: Option<SpawnHandle>,
}

impl Broadcaster {
    /// A broadcaster of a log that ends at `newest`.
    pub fn new(
        limits: config::Events,
        reader: Recipient<Read<ListEvents>>,
        bounds: Recipient<Read<GetLogBounds>>,
        newest: Seq,
    ) -> Self {
        Self {
            limits,
            reader,
            bounds,
            newest,
            recent: VecDeque::new(),
            live: Vec::new(),
            catching_up: Vec::new(),
            log_streams: Vec::new(),
            closing: Some(watch::Sender::new(())),
            progress: Pacer::new(PROGRESS_INTERVAL),
            progress_timer: None,
        }
    }

    /// Hands what is told once to all who listen. Who has gone, or does not keep up, is
    /// let go.
    fn tell(&mut self, event: &sse::Event) {
        self.live.retain(|listener| listener.subscriber.sender.try_send(event.clone()).is_ok());
    }

    /// Hands an event of the log to all who listen, and to each whatever goes beside it.
    fn tell_logged(&mut self, event: &LoggedEvent) {
        let told: Vec<_> = self.told(event).collect();
        self.live.retain_mut(|listener| {
            if event.seq <= listener.position {
                return true;
            }
            listener.position = event.seq;
            told.iter().all(|told| listener.subscriber.sender.try_send(told.clone()).is_ok())
        });
    }

    /// An event of the log as it is told.
    fn told(&self, event: &LoggedEvent) -> impl Iterator<Item = sse::Event> + use<> {
        let beside = self.limits.simpletuner_compat.then(|| for_page(event)).flatten();
        std::iter::once(as_sse(event)).chain(beside)
    }

    /// Tells SimpleTuner's page, by and by, that the stream is alive.
    fn beat(&mut self, context: &mut Context<Self>) {
        context.run_later(Duration::from_secs(self.limits.heartbeat_seconds), |this, context| {
            this.tell(&heartbeat());
            this.beat(context);
        });
    }

    /// Tells a notice to all who listen; of the progress of one job not more than one in a second.
    fn tell_paced(&mut self, notice: Notice) {
        let notice = match &notice {
            Notice::JobProgress { job_id, .. } => {
                self.progress.offer(job_id.clone(), notice, Instant::now())
            }
            Notice::SyncProgress { .. } | Notice::ProviderDegraded { .. } => Some(notice),
        };
        if let Some(notice) = notice {
            self.tell_notice(&notice);
        }
    }

    fn tell_notice(&mut self, notice: &Notice) {
        self.tell(&sse::Data::new(notice.to_json()).into());
    }

    /// Sees to it that the progress that waits is told in time.
    fn set_progress_timer(&mut self, context: &mut Context<Self>) {
        let Some(due) = self.progress.next_due().filter(|_| self.progress_timer.is_none()) else {
            return;
        };
        let wait = due.saturating_duration_since(Instant::now());
        self.progress_timer = Some(context.run_later(wait, |this, context| {
            this.progress_timer = None;
            for notice in this.progress.take_due(Instant::now()) {
                this.tell_notice(&notice);
            }
            this.set_progress_timer(context);
        }));
    }

    /// Forgets the streams that have been closed, and answers the addresses of the others.
    fn open_streams(&mut self) -> impl Iterator<Item = IpAddr> {
        self.live.retain(|listener| !listener.subscriber.sender.is_closed());
        self.catching_up.retain(Returner::is_open);
        self.log_streams.retain(|(_, held)| held.strong_count() > 0);
        let live = self.live.iter().map(|listener| listener.subscriber.address);
        let logs = self.log_streams.iter().map(|(address, _)| *address);
        live.chain(self.catching_up.iter().map(|returner| returner.address)).chain(logs)
    }

    fn admit(&mut self, address: IpAddr) -> Result<(), SubscribeError> {
        if self.closing.is_none() {
            return Err(SubscribeError::Closing);
        }
        let (mut open, mut open_from_address) = (0, 0);
        for stream in self.open_streams() {
            open += 1;
            open_from_address += usize::from(stream == address);
        }
        if open_from_address >= self.limits.max_connections_per_ip {
            let limit = self.limits.max_connections_per_ip;
            return Err(SubscribeError::TooManyFromAddress { limit });
        }
        if open >= self.limits.max_connections {
            return Err(SubscribeError::TooMany { limit: self.limits.max_connections });
        }
        Ok(())
    }

    /// Hands a subscriber what came after `position` and lets it listen live, where memory reaches
    /// back so far and the subscriber's buffer takes it.
    fn join(&mut self, subscriber: Subscriber, position: Seq) -> Result<(), Subscriber> {
        let missed = usize::try_from(self.newest - position).unwrap_or(0);
        // What goes beside an event takes a place of its own.
        if missed > self.recent.len() || 2 * missed > subscriber.sender.capacity() {
            return Err(subscriber);
        }
        let missed = self.recent.iter().skip(self.recent.len() - missed);
        for event in missed.flat_map(|event| self.told(event)) {
            if subscriber.sender.try_send(event).is_err() {
                // It has gone meanwhile; nobody is left to serve.
                return Ok(());
            }
        }
        self.catching_up.retain(|returner| {
            returner.sender.upgrade().is_some_and(|open| !open.same_channel(&subscriber.sender))
        });
        self.live.push(Listener { subscriber, position: position.max(self.newest) });
        Ok(())
    }

    /// Hands a subscriber what it missed from the log, at its own pace, until it can join.
    fn catch_up(&mut self, subscriber: Subscriber, position: Seq, context: &mut Context<Self>) {
        let (address, sender) = (subscriber.address, subscriber.sender.downgrade());
        let tells_page = self.limits.simpletuner_compat;
        let (reader, bounds, broadcaster) =
            (self.reader.clone(), self.bounds.clone(), context.address());
        let replay = async move {
            // It ends when the subscriber has joined or has gone, or the log cannot be read, which ends
            // its stream: it comes back by its id.
            let replay = Replay { reader, bounds, broadcaster, subscriber, tells_page };
            let _ = replay.from(position).await;
        };
        let replay = context.spawn(replay.into_actor(self));
        self.catching_up.push(Returner { address, sender, replay });
    }
}

impl Actor for Broadcaster {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // One message is one commit, which can tell of many jobs.
        context.set_mailbox_capacity(1024);
        if self.limits.simpletuner_compat {
            self.beat(context);
        }
    }
}

impl Handler<Announce> for Broadcaster {
    type Result = ();

    fn handle(&mut self, message: Announce, context: &mut Self::Context) {
        for event in message.events {
            self.tell_logged(&event);
            self.newest = event.seq;
            if self.recent.len() == REMEMBERED_EVENTS {
                self.recent.pop_front();
            }
            self.recent.push_back(event);
        }
        for job_id in &message.ended {
            self.progress.drop_waiting(job_id);
        }
        for notice in message.notices {
            self.tell_paced(notice);
        }
        self.set_progress_timer(context);
    }
}

impl Handler<OpenLogStream> for Broadcaster {
    type Result = Result<StreamSlot, SubscribeError>;

    fn handle(&mut self, message: OpenLogStream, _: &mut Self::Context) -> Self::Result {
        self.admit(message.address)?;
        let closing = self.closing.as_ref().ok_or(SubscribeError::Closing)?.subscribe();
        let held = Arc::new(());
        self.log_streams.push((message.address, Arc::downgrade(&held)));
        Ok(StreamSlot { closing, _held: held })
    }
}

impl Handler<Subscribe> for Broadcaster {
    type Result = Result<mpsc::Receiver<sse::Event>, SubscribeError>;

    fn handle(&mut self, message: Subscribe, context: &mut Self::Context) -> Self::Result {
        self.admit(message.address)?;
        let (sender, receiver) = mpsc::channel(BUFFERED_EVENTS);
        let subscriber = Subscriber { address: message.address, sender };
        match message.last_event_id.as_deref() {
            // An empty id is what a client sends that has seen none.
            None | Some("") => {
                let greeting = greeting("connected", self.newest, self.newest);
                if subscriber.sender.try_send(greeting).is_ok() {
                    self.live.push(Listener { subscriber, position: self.newest });
                }
            }
            // An id that is no number was never ours: it is as unknown as one beyond the end.
            Some(id) => self.catch_up(subscriber, id.parse().unwrap_or(Seq::MAX), context),
        }
        Ok(receiver)
    }
}

impl Handler<Join> for Broadcaster {
    type Result = Result<(), Subscriber>;

    fn handle(
        &mut self,
        Join { subscriber, position }: Join,
        _: &mut Self::Context,
    ) -> Self::Result {
        if self.closing.is_none() {
            return Ok(());
        }
        self.join(subscriber, position)
    }
}

impl Handler<CloseStreams> for Broadcaster {
    type Result = ();

    fn handle(&mut self, _: CloseStreams, context: &mut Self::Context) {
        self.closing = None;
        self.live.clear();
        for returner in self.catching_up.drain(..) {
            context.cancel_future(returner.replay);
        }
    }
}

impl Handler<CountSubscribers> for Broadcaster {
    type Result = Result<usize, SubscribeError>;

    fn handle(&mut self, _: CountSubscribers, _: &mut Self::Context) -> Self::Result {
        Ok(self.open_streams().count())
    }
}
