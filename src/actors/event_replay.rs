//! The log of events on its way to a subscriber that missed some of it, for the
//! [broadcaster](super::broadcaster).

use std::convert::Infallible;

use actix::prelude::*;
use actix_web_lab::sse;
use bytestring::ByteString;
use serde_json::json;

use super::broadcaster::{Broadcaster, Join, Subscriber};
use super::job_reader::{GetLogBounds, ListEvents, Read};
use crate::db::events::LogBounds;
use crate::domain::event::{LoggedEvent, Seq};
use crate::domain::simpletuner_event::{HEARTBEAT, cloud_job_update};
use crate::domain::timestamp::now;

/// How many events are read from the log at a time for those who were away for longer.
const REPLAYED_AT_ONCE: i64 = 200;

/// The log on its way to a subscriber that missed some of it.
pub(super) struct Replay {
    pub(super) reader: Recipient<Read<ListEvents>>,
    pub(super) bounds: Recipient<Read<GetLogBounds>>,
    pub(super) broadcaster: Addr<Broadcaster>,
    pub(super) subscriber: Subscriber,
    /// Whether SimpleTuner's page is told, too.
    pub(super) tells_page: bool,
}

impl Replay {
    /// Greets the subscriber, and hands it what came after `position` page by page, waiting where its
    /// buffer is full. None where it has joined or gone, or the log cannot be read.
    pub(super) async fn from(mut self, position: Seq) -> Option<Infallible> {
        let LogBounds { oldest, newest } = self.bounds().await?;
        let mut position = if position > newest || position < oldest - 1 {
            self.start_anew(newest).await?
        } else {
            self.hand(greeting("connected", newest, position)).await?;
            position
        };
        loop {
            let join = Join { subscriber: self.subscriber, position };
            self.subscriber = self.broadcaster.send(join).await.ok()?.err()?;
            let page = Read(ListEvents { after: position, limit: REPLAYED_AT_ONCE });
            let events = self.reader.send(page).await.ok()?.ok()?;
            if events.first().is_none_or(|event| event.seq != position + 1) {
                // What it would be handed next was pruned while it was handed the rest.
                let newest = self.bounds().await?.newest;
                position = self.start_anew(newest).await?;
                continue;
            }
            for event in events {
                if event.seq != position + 1 {
                    break;
                }
                position = event.seq;
                self.hand(as_sse(&event)).await?;
                if let Some(update) = self.tells_page.then(|| for_page(&event)).flatten() {
                    self.hand(update).await?;
                }
            }
            // What was announced last may not be in this page, and the next turn tries to join.
        }
    }

    async fn bounds(&self) -> Option<LogBounds> {
        self.bounds.send(Read(GetLogBounds)).await.ok()?.ok()
    }

    /// Tells the subscriber to fetch the list again, and answers the position from which it goes on.
    async fn start_anew(&self, newest: Seq) -> Option<Seq> {
        self.hand(greeting("reset", newest, newest)).await?;
        Some(newest)
    }

    async fn hand(&self, event: sse::Event) -> Option<()> {
        self.subscriber.sender.send(event).await.ok()
    }
}

/// An event of the log as it goes over the wire: unnamed, so that an `EventSource` gets it as
/// `message`, with its position as id.
pub(super) fn as_sse(event: &LoggedEvent) -> sse::Event {
    let json = ByteString::from(event.json.as_ref());
    sse::Data::new(json).id(event.seq.to_string()).into()
}

/// What SimpleTuner's page is told beside an event of the log. It has no id: whoever comes back goes on from the
/// event itself.
pub(super) fn for_page(event: &LoggedEvent) -> Option<sse::Event> {
    let json = cloud_job_update(&event.json, now())?;
    Some(sse::Data::new(json).into())
}

/// That the stream is alive, as SimpleTuner's page listens for it.
pub(super) fn heartbeat() -> sse::Event {
    let data = json!({"type": HEARTBEAT, "server_time": now()});
    sse::Data::new(data.to_string()).event(HEARTBEAT).into()
}

/// The first event of a stream. Its id is the position from which the stream goes on, so that a
/// client that loses the connection before anything happens misses nothing either.
pub(super) fn greeting(kind: &str, newest: Seq, position: Seq) -> sse::Event {
    let data = json!({"type": kind, "seq": newest, "server_time": now()});
    sse::Data::new(data.to_string()).id(position.to_string()).into()
}
