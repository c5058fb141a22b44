//! A stream of the daemon's that goes on when it breaks: after a pause it is opened again, from the
//! last event that came.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::web::Bytes;
use awc::error::PayloadError;
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;
use url::Url;

use super::ClientError;
use super::api::Api;
use super::sse::{SseEvent, SseReader};

/// How long the daemon may take to open a stream.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// How long a stream may be silent before it is taken for dead. The daemon writes a comment every 15
/// seconds, unless it was configured otherwise; then a stream is opened again for nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The pause before it is opened again, where the daemon does not name one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What comes over a subscription.
#[derive(Debug)]
pub(super) enum News {
    /// The stream is open, for the first time or again. What it does not repeat may have happened
    /// meanwhile: whoever wants to miss nothing reads the state now.
    Opened,
    /// An event.
    Event(SseEvent),
}

/// A stream that is opened again when it breaks.
pub(super) struct Subscription<'a> {
    api: &'a Api,
    url: Url,
    stream: Option<OpenStream>,
    last_id: Option<String>,
    pause: Duration,
    outage: Option<Outage>,
    /// How long there may be no answer before it is given up.
    patience: Option<Duration>,
    say: Box<dyn Fn(&str) + 'a>,
}

struct OpenStream {
    bytes: LocalBoxStream<'static, Result<Bytes, PayloadError>>,
    reader: SseReader,
    events: VecDeque<SseEvent>,
}

struct Outage {
    since: Instant,
    failures: u32,
}

impl<'a> Subscription<'a> {
    /// A subscription that is opened by the first [`next`](Self::next), and says by `say` when it
    /// breaks.
    pub(super) fn new(api: &'a Api, url: Url, say: impl Fn(&str) + 'a) -> Self {
        Self {
            api,
            url,
            stream: None,
            last_id: None,
            pause: PAUSE,
            outage: None,
            patience: None,
            say: Box::new(say),
        }
    }

    /// Gives up where there is no answer for so long.
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// The next news. An error is lasting: what passes is waited for.
    pub(super) async fn next(&mut self) -> Result<News, ClientError> {
        loop {
            let Some(stream) = &mut self.stream else {
                match self.open().await {
                    Ok(stream) => self.stream = Some(stream),
                    Err(error) => {
                        self.broke(error).await?;
                        continue;
                    }
                }
                return Ok(News::Opened);
            };
            if let Some(event) = stream.events.pop_front() {
                // What is told only to those who listen has no id, and is no place to go on from.
                if event.id.is_some() {
                    self.last_id.clone_from(&event.id);
                }
                return Ok(News::Event(event));
            }
            match tokio::time::timeout(SILENCE_MAX, stream.bytes.next()).await {
                Ok(Some(Ok(bytes))) => {
                    stream.events.extend(stream.reader.read(&bytes));
                    self.pause = stream.reader.retry().unwrap_or(self.pause);
                }
                // Whether anybody is there is seen when it is opened again.
                Err(_) => self.stream = None,
                Ok(end) => {
                    let cause = match end {
                        Some(Err(error)) => self.api.cut(&error),
                        _ => self.api.ended(),
                    };
                    self.broke(cause).await?;
                }
            }
        }
    }

    /// Goes on from the beginning where the stream breaks now: what was before is not so any more.
    pub(super) fn forget_place(&mut self) {
        self.last_id = None;
        if let Some(stream) = &mut self.stream {
            stream.reader.forget_id();
        }
    }

    /// What was read after [`News::Opened`] is good: the daemon is there.
    pub(super) fn settled(&mut self) {
        if self.outage.take().is_some() {
            (self.say)("the daemon is back");
        }
    }

    /// Closes the stream after something went wrong that passes, waits, and lets it be opened again.
    /// Gives back an error that does not pass, or for which there is no patience left.
    pub(super) async fn broke(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.stream = None;
        if !error.is_passing() || error.is_connection_limit() {
            return Err(error);
        }
        let is_first = self.outage.is_none();
        let outage = self.outage.get_or_insert(Outage { since: Instant::now(), failures: 0 });
        outage.failures += 1;
        if self.patience.is_some_and(|patience| outage.since.elapsed() >= patience) {
            return Err(error);
        }
        let chance = rand::random_range(0.75..1.25);
        let pause = pause(self.pause, outage.failures).mul_f64(chance);
        let pause = error.retry_after().unwrap_or_default().min(PAUSE_MAX).max(pause);
        if is_first {
            (self.say)(&format!("{error}; trying again"));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn open(&self) -> Result<OpenStream, ClientError> {
        let mut request = self.api.request(Method::GET, &self.url).no_decompress();
        request = request.insert_header(("accept", "text/event-stream"));
        if let Some(id) = &self.last_id {
            request = request.insert_header(("last-event-id", id.as_str()));
        }
        let opened = async {
            let mut answer = request.send().await.map_err(|error| self.api.unsent(&error))?;
            if !answer.status().is_success() {
                let text = answer.body().await.map_err(|error| self.api.cut(&error))?;
                self.api.judge(answer.status(), answer.headers(), &text)?;
            }
            let bytes = answer.boxed_local();
            Ok(OpenStream { bytes, reader: SseReader::default(), events: VecDeque::new() })
        };
        let server = || self.api.server().to_owned();
        tokio::time::timeout(OPEN_WITHIN, opened).await.unwrap_or_else(|_| {
            Err(ClientError::NoAnswer { server: server(), patience: OPEN_WITHIN })
        })
    }
}

/// How long to wait after so many failures: each time twice as long, up to a bound.
fn pause(first: Duration, failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    first.saturating_mul(factor).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let pauses = [1, 2, 3, 4, 5, 60].map(|failures| pause(Duration::from_secs(2), failures));
        assert_eq!(pauses.map(|pause| pause.as_secs()), [2, 4, 8, 15, 15, 15]);
    }
}
