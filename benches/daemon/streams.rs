//! How soon the last one of a thousand subscribers has an event.
//!
//! The event is made by a webhook. The time runs from the webhook's 200, which is sent after the
//! commit, until the last subscriber has read the whole event from its socket.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Effort;
use crate::client::{Connection, get, on_own_thread};
use crate::figures::{Figure, Goal, in_ms, median, percentile};
use crate::stand::{Database, Stand};
use crate::webhook::{self, SECRET_SETTING, Tells};

const SUBSCRIBERS: usize = 1_000;
const EVENTS_A_SECOND: u32 = 10;

/// When a webhook was sent, and when it was answered.
struct Sent {
    at: Instant,
    answered_at: Instant,
}

/// Measures the delay of each of some hundred events.
pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let database = Database::new();
    let environment = [
        SECRET_SETTING,
        ("JOBSYNCD__EVENTS__MAX_CONNECTIONS", "2000"),
        ("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "2000"),
    ];
    let stand = Stand::start(&database, &environment);
    let events = effort.choose(300, 50);
    let (seen, sent) = tell_all(stand.address, events);
    stand.stop();

    let last_after = |from: fn(&Sent) -> Instant| -> Vec<f64> {
        let delays = sent.iter().zip(1..).map(|(sent, seq)| {
            let times = &seen[&seq];
            assert_eq!(times.len(), SUBSCRIBERS, "every subscriber has event {seq}");
            let last = times.iter().max().expect("there are subscribers");
            in_ms(last.saturating_duration_since(from(sent)))
        });
        delays.collect()
    };
    let after_answer = last_after(|sent| sent.answered_at);
    let after_sending = last_after(|sent| sent.at);
    vec![Figure {
        what: format!(
            "last of {SUBSCRIBERS} subscribers at {EVENTS_A_SECOND} events a second, p99 after the \
             webhook's 200"
        ),
        median: percentile(&after_answer, 0.99),
        unit: "ms",
        goal: Goal::AtMost(50.0),
        details: format!(
            "median {:.1} ms; from the sending of the webhook {:.1} ms, p99 {:.1} ms",
            median(&after_answer),
            median(&after_sending),
            percentile(&after_sending, 0.99),
        ),
    }]
}

/// Sends the webhooks while everybody listens. Answers when each event was seen, by its position,
/// and when it was sent.
fn tell_all(address: SocketAddr, events: u32) -> (BTreeMap<u32, Vec<Instant>>, Vec<Sent>) {
    let (tell_ready, ready) = mpsc::channel();
    let listening = std::thread::spawn(move || {
        on_own_thread(move || listen(address, events, move || tell_ready.send(())))
    });
    ready.recv().expect("everybody can subscribe");
    let sent = on_own_thread(move || send(address, events));
    (listening.join().expect("the subscribers end by themselves"), sent)
}

async fn send(address: SocketAddr, events: u32) -> io::Result<Vec<Sent>> {
    let mut connection = Connection::open(address).await?;
    let key = webhook::key();
    let began = Instant::now();
    let mut sent = Vec::new();
    for count in 0..events {
        let due = began + Duration::from_secs(1) * count / EVENTS_A_SECOND;
        let request = webhook::request(&key, &format!("event{count:021}"), Tells::Start);
        tokio::time::sleep_until(due.into()).await;
        let at = Instant::now();
        assert_eq!(connection.ask(&request).await?.status, 200);
        sent.push(Sent { at, answered_at: Instant::now() });
    }
    Ok(sent)
}

/// Opens all streams, says so, and reads from each until it has had every event.
async fn listen<E>(
    address: SocketAddr,
    events: u32,
    tell_ready: impl FnOnce() -> Result<(), E>,
) -> io::Result<BTreeMap<u32, Vec<Instant>>> {
    let mut open = Vec::with_capacity(SUBSCRIBERS);
    for _ in 0..SUBSCRIBERS {
        open.push(Subscriber::open(address).await?);
    }
    assert!(tell_ready().is_ok(), "somebody waits for the subscribers");
    let mut all = tokio::task::JoinSet::new();
    for subscriber in open {
        all.spawn(subscriber.read_until(events));
    }
    let mut seen: BTreeMap<u32, Vec<Instant>> = BTreeMap::new();
    for read in all.join_all().await {
        for (seq, at) in read? {
            seen.entry(seq).or_default().push(at);
        }
    }
    Ok(seen)
}

struct Subscriber {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Subscriber {
    /// Subscribes, and waits for the greeting.
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(&get("/api/events")).await?;
        let mut subscriber = Self { socket, unread: Vec::with_capacity(8 * 1024) };
        while subscriber.next_id().is_none() {
            subscriber.read().await?;
        }
        Ok(subscriber)
    }

    async fn read_until(mut self, events: u32) -> io::Result<Vec<(u32, Instant)>> {
        let mut seen = Vec::with_capacity(events as usize);
        loop {
            while let Some(seq) = self.next_id() {
                seen.push((seq, Instant::now()));
                if seq == events {
                    return Ok(seen);
                }
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.socket.read_buf(&mut self.unread).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Takes the next whole event, and tells its position. Comments have none.
    fn next_id(&mut self) -> Option<u32> {
        loop {
            let end = self.unread.windows(2).position(|two| two == b"\n\n")? + 2;
            let event: Vec<u8> = self.unread.drain(..end).collect();
            let text = String::from_utf8_lossy(&event);
            let id = text.lines().find_map(|line| line.strip_prefix("id:")?.trim().parse().ok());
            if id.is_some() {
                return id;
            }
        }
    }
}
