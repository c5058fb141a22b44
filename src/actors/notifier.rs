//! The notifier: tells people of ends and alarms, each event once to each channel, from the log of events.
//!
//! What is to be told is stored before it is sent, and what became of that afterwards; a message that was
//! sent and not noted is sent again under the same identifier. Channels do not wait for one another.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use uuid::Uuid;

use super::job_reader::Read;
use super::job_reader::notifications::GetNextDue;
use super::job_store::notifications::{NoteAttempt, PlanNotifications};
use crate::config::{Channel, Network, Notifications};
use crate::db::error::{Obstacle, StoreError};
use crate::db::notifications::{Attempt, Listener, Outgoing};
use crate::domain::notification::{Message, pause_seconds};
use crate::domain::timestamp::now;
use crate::notification::{SendError, Sender, Sent};

/// The pause between two looks at the log of events.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Sends a message to a channel to try it out.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<Sent, SendError>, UnknownChannel>")]
pub struct SendTest {
    /// The channel's name.
    pub channel: String,
}

/// Sends nothing any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopNotifying;

/// There is no channel of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Unknown notification channel: {0}")]
pub struct UnknownChannel(pub String);

/// What the notifier needs from whoever starts it.
pub struct NotifierOptions {
    /// How receivers are reached.
    pub network: Network,
    /// Whom to tell of what.
    pub config: Notifications,
    /// Who notes what is to be told.
    pub plan: Recipient<PlanNotifications>,
    /// Who knows what is due.
    pub due: Recipient<Read<GetNextDue>>,
    /// Who notes what became of it.
    pub note: Recipient<NoteAttempt>,
}

/// The actor. See the top of this file.
pub struct Notifier {
    channels: BTreeMap<String, Rc<Channel>>,
    listeners: Vec<Listener>,
    retry_first_seconds: u64,
    sender: Rc<Sender>,
    plan: Recipient<PlanNotifications>,
    due: Recipient<Read<GetNextDue>>,
    note: Recipient<NoteAttempt>,
    /// Channels to which something is on its way.
    busy: HashSet<String>,
    timer: Option<SpawnHandle>,
    is_stopping: bool,
}

impl Notifier {
    /// A notifier, to be made in the arbiter in which it runs.
    pub fn new(options: NotifierOptions) -> Self {
        let NotifierOptions { network, config, plan, due, note } = options;
        let listener = |(name, channel): (&String, &Channel)| Listener {
            channel: name.clone(),
            topics: channel.topics.clone(),
        };
        Self {
            listeners: config.channels.iter().map(listener).collect(),
            retry_first_seconds: config.retry_first_seconds,
            sender: Rc::new(Sender::new(&network, config.allow_private_addresses)),
            channels: config.channels.into_iter().map(|(name, one)| (name, Rc::new(one))).collect(),
            plan,
            due,
            note,
            busy: HashSet::new(),
            timer: None,
            is_stopping: false,
        }
    }

    /// Notes what is to be told, and has every channel that rests look for what is due.
    fn look(&mut self, context: &mut Context<Self>) {
        let plan = self.plan.send(PlanNotifications { listeners: self.listeners.clone() });
        context.spawn(plan.into_actor(self).map(|planned, this, context| {
            let has_more = match planned {
                Ok(Ok(has_more)) => has_more,
                Ok(Err(error)) => {
                    log::warn!("what is to be told cannot be noted: {error}");
                    false
                }
                Err(_) => false,
            };
            let names: Vec<_> = this.channels.keys().cloned().collect();
            for name in names {
                this.serve(name, context);
            }
            let pause = if has_more { Duration::ZERO } else { LOOK_PAUSE };
            if !this.is_stopping {
                let look = |this: &mut Self, context: &mut Context<Self>| this.look(context);
                this.timer = Some(context.run_later(pause, look));
            }
        }));
    }

    /// Sends a channel what is due to it, one message after the other.
    fn serve(&mut self, name: String, context: &mut Context<Self>) {
        if self.is_stopping || !self.busy.insert(name.clone()) {
            return;
        }
        let channel = self.channels[&name].clone();
        let (sender, first) = (self.sender.clone(), self.retry_first_seconds);
        let (due, note) = (self.due.clone(), self.note.clone());
        let question = GetNextDue { channel: name.clone(), now: now() };
        let deliver = async move {
            let Ok(Ok(Some(outgoing))) = due.send(Read(question)).await else { return false };
            let attempt = deliver(&sender, &channel, &outgoing, first).await;
            let noted = note.send(NoteAttempt { id: outgoing.id, attempt }).await;
            let noted = noted.unwrap_or(Err(StoreError::Unavailable(Obstacle::Other)));
            noted
                .inspect_err(|error| log::error!("a notification cannot be noted: {error}"))
                .is_ok()
        };
        context.spawn(deliver.into_actor(self).map(|may_have_more, this, context| {
            this.busy.remove(&name);
            if may_have_more {
                this.serve(name, context);
            }
        }));
    }
}

/// Sends one message, and says what that came to.
async fn deliver(
    sender: &Sender,
    channel: &Channel,
    outgoing: &Outgoing,
    retry_first_seconds: u64,
) -> Attempt {
    let Outgoing { id, channel: name, message_id, message, attempts, .. } = outgoing;
    let error = match sender.send(channel, message_id, message).await {
        Ok(_) => return Attempt::Delivered,
        Err(error) => error,
    };
    let attempt = attempts + 1;
    let pause = pause_seconds(attempt, retry_first_seconds, error.retry_after_seconds);
    let words = error.words;
    match pause.filter(|_| !error.is_lasting) {
        Some(seconds) => {
            log::warn!("channel {name}: {words}; attempt {attempt}, the next in {seconds} s");
            // Several channels at one service need not all come back in the same second.
            let spread = rand::random_range(1.0..1.1);
            let pause = Duration::from_secs(seconds).mul_f64(spread);
            Attempt::Again { at: now() + pause, words }
        }
        None => {
            log::error!("channel {name}: {words}; notification {id} is not sent again by itself");
            Attempt::Dead { words }
        }
    }
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if !self.channels.is_empty() {
            self.look(context);
        }
    }
}

impl Handler<SendTest> for Notifier {
    type Result = ResponseFuture<Result<Result<Sent, SendError>, UnknownChannel>>;

    fn handle(&mut self, message: SendTest, _: &mut Self::Context) -> Self::Result {
        let Some(channel) = self.channels.get(&message.channel).cloned() else {
            return Box::pin(async { Err(UnknownChannel(message.channel)) });
        };
        let sender = self.sender.clone();
        Box::pin(async move {
            let message = Message::test(now().to_rfc3339());
            Ok(sender.send(&channel, &Uuid::now_v7().to_string(), &message).await)
        })
    }
}

impl Handler<StopNotifying> for Notifier {
    type Result = ();

    fn handle(&mut self, _: StopNotifying, context: &mut Self::Context) {
        self.is_stopping = true;
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
    }
}
