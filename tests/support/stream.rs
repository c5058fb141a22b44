//! A reader of server-sent events, as strict as a browser: by hand, so that what goes over the wire
//! is what is tested.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::daemon::SOON;

/// An open stream.
pub struct EventStream {
    lines: BufReader<TcpStream>,
    /// The head of the answer: status line and headers.
    pub head: Vec<String>,
    /// The last id that was seen, as an `EventSource` remembers it.
    pub last_id: Option<String>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: String,
}

impl StreamEvent {
    /// Whether only SimpleTuner's page reads it.
    fn is_for_page(&self) -> bool {
        self.event.as_deref() == Some("heartbeat")
            || self.data.starts_with(r#"{"type":"cloud_job_update""#)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }
}

impl EventStream {
    /// Opens `/api/events` of the daemon at `url`.
    pub async fn open(url: &str, last_event_id: Option<&str>) -> Self {
        Self::open_path(url, "/api/events", last_event_id).await
    }

    /// Opens any stream of the daemon at `url`.
    pub async fn open_path(url: &str, path: &str, last_event_id: Option<&str>) -> Self {
        let id = last_event_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let address = url.strip_prefix("http://").expect("a plain URL");
        let socket = TcpStream::connect(address).await.expect("a connection");
        Self::ask(socket, address, path, id.as_bytes()).await
    }

    /// Asks for a stream over `socket`, with these header lines besides the usual ones.
    pub async fn ask(mut socket: TcpStream, host: &str, path: &str, headers: &[u8]) -> Self {
        // HTTP/1.0, so that the body is not cut into chunks.
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/event-stream\r\n");
        let request = [request.as_bytes(), headers, b"\r\n"].concat();
        socket.write_all(&request).await.expect("a request");
        let mut stream = Self { lines: BufReader::new(socket), head: Vec::new(), last_id: None };
        loop {
            match stream.line().await {
                Some(line) if line.is_empty() => return stream,
                Some(line) => stream.head.push(line),
                None => return stream,
            }
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        let line = self.head.first().expect("a status line");
        line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// The value of a header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.iter().skip(1).filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    /// The next event; fails the test where none comes soon.
    pub async fn next(&mut self) -> StreamEvent {
        self.try_next().await.expect("the stream goes on")
    }

    /// The next event; None where the stream has ended. Comments keep a stream open, and what is there for
    /// SimpleTuner's page repeats what was said: neither is what a test waits for.
    pub async fn try_next(&mut self) -> Option<StreamEvent> {
        let found = async {
            loop {
                match self.read_event().await {
                    Some(event) if event.is_for_page() => {}
                    event => return event,
                }
            }
        };
        tokio::time::timeout(SOON, found).await.expect("an event comes soon")
    }

    /// The next event of all.
    pub async fn next_of_all(&mut self) -> StreamEvent {
        let event = tokio::time::timeout(SOON, self.read_event()).await;
        event.expect("an event comes soon").expect("the stream goes on")
    }

    async fn read_event(&mut self) -> Option<StreamEvent> {
        let mut event = StreamEvent { id: None, event: None, data: String::new() };
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                if !event.data.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" if event.data.is_empty() => event.data = value.to_owned(),
                "data" => {
                    event.data.push('\n');
                    event.data.push_str(value);
                }
                "id" => {
                    self.last_id = Some(value.to_owned());
                    event.id = Some(value.to_owned());
                }
                "event" => event.event = Some(value.to_owned()),
                _ => {}
            }
        }
    }

    /// The JSON of the next event of this type; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        let found = async {
            loop {
                let json = self.next().await.json();
                if json["type"] == kind {
                    return json;
                }
            }
        };
        let found = tokio::time::timeout(SOON, found).await;
        found.unwrap_or_else(|_| panic!("a {kind} comes soon"))
    }

    /// The next line as it is, comments too; None where the stream has ended.
    pub async fn line(&mut self) -> Option<String> {
        self.line_within(SOON).await.expect("a line comes soon")
    }

    /// The same, or an error where none comes within a time.
    pub async fn line_within(
        &mut self,
        patience: Duration,
    ) -> Result<Option<String>, tokio::time::error::Elapsed> {
        let mut line = String::new();
        let read = tokio::time::timeout(patience, self.lines.read_line(&mut line)).await?;
        // A reset is an end as well.
        if read.unwrap_or(0) == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}
