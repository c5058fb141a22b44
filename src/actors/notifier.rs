//! The notifier: tells people of ends and alarms, each event once to each channel, from the log of events.
//!
//! What is to be told is stored before it is sent, and what became of that afterwards; a message that was
//! sent and not noted is sent again under the same identifier. Receivers do not wait for one another; what
//! waits for one receiver waits together, and becomes a digest where that is much.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use uuid::Uuid;

use super::job_reader::Read;
use super::job_reader::notifications::GetNextDue;
use super::job_store::notifications::{CondenseNotifications, NoteAttempt, PlanNotifications};
use crate::config::{Channel, Network, Notifications};
use crate::db::error::StoreError;
use crate::db::notifications::{Attempt, Due, Listener, Noted, Outcome, Outgoing};
use crate::domain::notification::Message;
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
    /// Who makes one message of many.
    pub condense: Recipient<CondenseNotifications>,
    /// Who notes what became of it.
    pub note: Recipient<NoteAttempt>,
}

/// The actor. See the top of this file.
pub struct Notifier {
    channels: BTreeMap<String, Rc<Channel>>,
    /// The channels that lead to each receiver.
    receivers: BTreeMap<String, Vec<String>>,
    listeners: Vec<Listener>,
    plan: Recipient<PlanNotifications>,
    courier: Rc<Courier>,
    /// Receivers to which something is on its way.
    busy: HashSet<String>,
    timer: Option<SpawnHandle>,
    is_stopping: bool,
}

impl Notifier {
    /// A notifier, to be made in the arbiter in which it runs.
    pub fn new(options: NotifierOptions) -> Self {
        let NotifierOptions { network, config, plan, due, condense, note } = options;
        let listener = |(name, channel): (&String, &Channel)| Listener {
            channel: name.clone(),
            topics: channel.topics.clone(),
        };
        let mut receivers = BTreeMap::<_, Vec<_>>::new();
        for (name, receiver) in config.receivers() {
            receivers.entry(receiver).or_default().push(name);
        }
        Self {
            listeners: config.channels.iter().map(listener).collect(),
            receivers,
            courier: Rc::new(Courier {
                sender: Sender::new(&network, config.allow_private_addresses),
                first_seconds: config.retry_first_seconds,
                due,
                condense,
                note,
            }),
            channels: config.channels.into_iter().map(|(name, one)| (name, Rc::new(one))).collect(),
            plan,
            busy: HashSet::new(),
            timer: None,
            is_stopping: false,
        }
    }

    /// Notes what is to be told, and has every receiver that rests looked after.
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
            let receivers: Vec<_> = this.receivers.keys().cloned().collect();
            // What is planned together is looked at together: many may be one digest.
            for receiver in receivers.into_iter().filter(|_| !has_more) {
                this.serve(receiver, context);
            }
            let pause = if has_more { Duration::ZERO } else { LOOK_PAUSE };
            if !this.is_stopping {
                let look = |this: &mut Self, context: &mut Context<Self>| this.look(context);
                this.timer = Some(context.run_later(pause, look));
            }
        }));
    }

    /// Sends a receiver what is due to it, one message after the other.
    fn serve(&mut self, receiver: String, context: &mut Context<Self>) {
        if self.is_stopping || !self.busy.insert(receiver.clone()) {
            return;
        }
        let names = &self.receivers[&receiver];
        let channels = names.iter().map(|name| (name.clone(), self.channels[name].clone()));
        let round = Round { receiver: receiver.clone(), channels: channels.collect() };
        let courier = self.courier.clone();
        let carry = async move { courier.carry(&round).await };
        context.spawn(carry.into_actor(self).map(|may_have_more, this, context| {
            this.busy.remove(&receiver);
            if may_have_more {
                this.serve(receiver, context);
            }
        }));
    }
}

/// A receiver and the channels that lead to it.
struct Round {
    receiver: String,
    channels: Vec<(String, Rc<Channel>)>,
}

impl Round {
    fn names(&self) -> Vec<String> {
        self.channels.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The channel that stands for all: one that signs, where one does.
    fn spokesman(&self) -> Option<&str> {
        let signs = |(_, channel): &&(String, Rc<Channel>)| channel.signing_key.is_some();
        let chosen = self.channels.iter().find(signs).or(self.channels.first());
        chosen.map(|(name, _)| name.as_str())
    }
}

/// Carries messages from the store to receivers.
struct Courier {
    sender: Sender,
    first_seconds: u64,
    due: Recipient<Read<GetNextDue>>,
    condense: Recipient<CondenseNotifications>,
    note: Recipient<NoteAttempt>,
}

impl Courier {
    /// Carries what is due next. Answers whether there may be more.
    async fn carry(&self, round: &Round) -> bool {
        let (receiver, channels) = (round.receiver.clone(), round.names());
        let question = GetNextDue { receiver, channels, now: now() };
        let outgoing = match self.due.send(Read(question)).await {
            Ok(Ok(Due::Message(outgoing))) => outgoing,
            Ok(Ok(Due::TooMany)) => return self.condense(round).await,
            _ => return false,
        };
        let named = round.channels.iter().find(|(name, _)| *name == outgoing.channel);
        let Some((_, channel)) = named else { return false };
        let sent = self.sender.send(channel, &outgoing.message_id, &outgoing.message).await;
        match self.note(round.receiver.clone(), Some(outgoing.id), &sent).await {
            Ok(noted) => {
                report(&outgoing, &sent, noted);
                true
            }
            Err(error) => {
                log::error!("a notification cannot be noted: {error}");
                false
            }
        }
    }

    async fn condense(&self, round: &Round) -> bool {
        let Some(into) = round.spokesman() else { return false };
        let message = CondenseNotifications { channels: round.names(), into: into.to_owned() };
        match self.condense.send(message).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                log::error!("many notifications cannot be made one: {error}");
                false
            }
            Err(_) => false,
        }
    }

    /// Notes what an attempt came to, for the message and for the receiver.
    async fn note(
        &self,
        receiver: String,
        id: Option<i64>,
        sent: &Result<Sent, SendError>,
    ) -> Result<Noted, StoreError> {
        let outcome = match sent {
            Ok(sent) => Outcome::Delivered { rest_seconds: sent.rest_seconds },
            Err(error) => Outcome::Failed {
                words: error.words.clone(),
                asked_seconds: error.asked_seconds,
                is_lasting: error.is_lasting,
                is_about_message: error.is_about_message,
            },
        };
        let spread = rand::random_range(1.0..1.1);
        let attempt = Attempt { receiver, id, outcome, first_seconds: self.first_seconds, spread };
        let noted = self.note.send(NoteAttempt(attempt)).await;
        noted.unwrap_or(Err(StoreError::Stopping))
    }
}

/// Logs an attempt that failed.
fn report(outgoing: &Outgoing, sent: &Result<Sent, SendError>, noted: Noted) {
    let (channel, id) = (&outgoing.channel, outgoing.id);
    let Err(SendError { words, .. }) = sent else { return };
    match noted {
        Noted::Done => {}
        Noted::Again { attempt, at } => {
            let at = at.to_rfc3339();
            log::warn!("channel {channel}: {words}; attempt {attempt}, the next at {at}");
        }
        Noted::Dead => {
            log::error!(
                "channel {channel}: {words}; notification {id} is not sent again by itself"
            );
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
        let courier = self.courier.clone();
        Box::pin(async move {
            let message = Message::test(now().to_rfc3339());
            let id = Uuid::now_v7().to_string();
            let sent = courier.sender.send(&channel, &id, &message).await;
            // A test is a request as any other: what it is answered holds for the messages that wait.
            let noted = courier.note(channel.url.receiver(), None, &sent).await;
            if let Err(error) = noted {
                log::error!("what a test came to cannot be noted: {error}");
            }
            Ok(sent)
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
