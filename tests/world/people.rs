//! Telling people: receivers that want to be left alone, many messages at once, the limits of services, and
//! credentials in URLs.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jobsyncd::simulator::{JobUpdate, Status};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::{Backend, TestDaemon, TestDatabase, simulator};
use crate::support::receiver::{Receiver, Reply, SECRET, fail, telling};

/// How many messages a channel has in which state, as soon as it is so.
async fn channel_when(daemon: &TestDaemon, is_right: impl Fn(&Value) -> bool) -> Value {
    let answer =
        daemon.answer_when("/api/notifications", |answer| is_right(&answer["channels"][0])).await;
    answer["channels"][0].clone()
}

#[rstest]
#[actix_web::test]
async fn a_receiver_that_wants_to_be_left_alone_is_sent_nothing_of_all_that_waits_for_it(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    receiver.always_reply(Some(Reply::of(429).header("retry-after", "600")));
    let database = TestDatabase::new(backend);
    // Two channels to one place are one receiver.
    let url = &receiver.url;
    let channels = format!("{{a: {{url: '{url}/in'}}, b: {{url: '{url}/in', events: [failed]}}}}");
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    channel_when(&daemon, |channel| channel["rests_until"].is_string()).await;
    fail(&simulator, &daemon, 4).await;
    channel_when(&daemon, |channel| channel["pending"] == 5).await;
    assert_eq!(receiver.so_far().len(), 1);

    // Nor after a restart, whatever is new by then.
    daemon.stop().await;
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    channel_when(&daemon, |channel| channel["pending"] == 6).await;
    assert_eq!(receiver.so_far().len(), 1);

    // Where a test shows that it takes messages again, it gets what waits.
    receiver.always_reply(None);
    daemon.post("/api/notifications/a/test").await.ok();
    receiver.arrived(3).await;
    channel_when(&daemon, |channel| channel["rests_until"].is_null()).await;
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[actix_web::test]
async fn a_pause_is_obeyed_in_each_form_in_which_receivers_name_it() {
    let simulator = simulator().await;
    let limited = |body: &str| Reply::of(429).body(body);
    let in_three_seconds = || {
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
        Reply::of(429).header("retry-after", date)
    };
    let replies: [(&dyn Fn() -> Reply, f64); 5] = [
        (&|| Reply::of(429).header("retry-after", "2"), 2.0),
        (&|| Reply::of(503).header("retry-after", "1.75"), 1.75),
        // To the second, and some of it is over when it is sent.
        (&in_three_seconds, 1.0),
        (&|| limited(r#"{"message": "You are being rate limited.", "retry_after": 1.6}"#), 1.6),
        (&|| Reply::of(429).header("x-ratelimit-reset-after", "1.9"), 1.9),
    ];
    for (reply, seconds) in replies {
        let receiver = Receiver::start();
        let database = TestDatabase::new(Backend::Sqlite);
        let channels = format!("{{own: {{url: '{}'}}}}", receiver.url);
        // A pause of its own would be shorter than any of these.
        let daemon = telling(&simulator, &channels).start(&database).await;
        let reply = reply();
        receiver.reply_next(vec![reply.clone()]);
        fail(&simulator, &daemon, 3).await;
        let arrived = receiver.arrived(4).await;
        let pause = (arrived[1].at - arrived[0].at).as_secs_f64();
        assert!(pause >= seconds - 0.01, "{pause} {reply:?}");
        assert_eq!(arrived[0].header("webhook-id"), arrived[1].header("webhook-id"));
        channel_when(&daemon, |channel| channel["pending"] == 0).await;
        daemon.stop().await;
        receiver.server.stop(false).await;
    }
}

#[actix_web::test]
async fn who_took_the_last_message_that_is_allowed_gets_the_next_one_when_more_are() {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    let spent = Reply::of(204)
        .header("x-ratelimit-remaining", "0")
        .header("x-ratelimit-reset-after", "1.5")
        .body("");
    receiver.reply_next(vec![spent]);
    let database = TestDatabase::new(Backend::Sqlite);
    let channels = format!("{{own: {{url: '{}', format: discord}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 2).await;
    let arrived = receiver.arrived(2).await;
    let pause = arrived[1].at - arrived[0].at;
    assert!(pause >= Duration::from_millis(1_490), "{pause:?}");
    assert_ne!(arrived[0].header("webhook-id"), arrived[1].header("webhook-id"));
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[rstest]
#[actix_web::test]
async fn more_than_twenty_that_wait_become_one_digest_that_is_a_message_as_any_other(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    receiver.reply_next(vec![Reply::of(429).header("retry-after", "600")]);
    let database = TestDatabase::new(backend);
    let channels = format!("{{own: {{url: '{}', secret: '{SECRET}'}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 1).await;
    receiver.arrived(1).await;
    fail(&simulator, &daemon, 30).await;
    channel_when(&daemon, |channel| channel["pending"] == 31).await;
    // A test shows that messages are taken again. The digest fails once, and comes again as it was.
    receiver.reply_next(vec![Reply::of(200), Reply::of(500)]);
    daemon.post("/api/notifications/own/test").await.ok();
    let arrived = receiver.arrived(4).await;
    assert_eq!(arrived.len(), 4, "{arrived:#?}");
    assert!(arrived[3].is_signed());
    assert_eq!(arrived[2].header("webhook-id"), arrived[3].header("webhook-id"));
    assert_eq!(arrived[2].body, arrived[3].body);
    let digest = arrived[3].json();
    assert_eq!(
        (&digest["type"], &digest["title"]),
        (&json!("digest"), &json!("31 messages: 31 failed"))
    );
    assert_eq!(digest["data"]["counts"], json!({"job.failed": 31}));
    let told = digest["data"]["messages"].as_array().expect("messages");
    let first = arrived[0].json();
    assert_eq!((told.len(), &told[0]["data"]), (31, &first["data"]));
    let channel = channel_when(&daemon, |channel| channel["pending"] == 0).await;
    assert_eq!((&channel["dead"], &channel["last_error"]), (&json!(0), &Value::Null));
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[actix_web::test]
async fn a_message_that_is_refused_by_itself_holds_up_no_other() {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    receiver.reply_next(vec![Reply::of(400)]);
    let database = TestDatabase::new(Backend::Sqlite);
    let channels = format!("{{own: {{url: '{}'}}}}", receiver.url);
    let daemon = telling(&simulator, &channels).start(&database).await;
    fail(&simulator, &daemon, 2).await;
    let arrived = receiver.arrived(3).await;
    let ids: Vec<_> = arrived.iter().map(|one| one.header("webhook-id")).collect();
    assert!(ids[0] != ids[1] && ids[0] == ids[2], "{ids:?}");
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[actix_web::test]
async fn long_names_are_cut_to_what_each_service_takes_after_its_escaping() {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    let database = TestDatabase::new(Backend::Sqlite);
    let url = &receiver.url;
    let channels = format!(
        "{{slack: {{url: '{url}/slack', format: slack}}, discord: {{url: '{url}/discord', format: discord}}, \
          ntfy: {{url: '{url}/ntfy', format: ntfy}}}}"
    );
    let daemon = telling(&simulator, &channels).start(&database).await;
    let name = "&😀é<".repeat(50);
    let id = daemon.submit(&json!({"config_name": name})).await;
    let taken = daemon.taken(&id).await;
    let error = Some("&".repeat(4_000));
    let update = JobUpdate { status: Some(Status::Failed), error, ..JobUpdate::default() };
    simulator.update_job(&taken, update).expect("it fails");
    daemon.refresh().await;
    let arrived = receiver.arrived(3).await;
    let of = |path: &str| arrived.iter().find(|one| one.path == path).expect("a message");
    let length = |text: &Value| text.as_str().expect("a text").encode_utf16().count();

    let slack = of("/slack").json();
    let section = &slack["blocks"][0]["text"]["text"];
    assert!(length(section) <= 3_000 && length(&slack["text"]) <= 3_000, "{slack}");
    let text = section.as_str().expect("a text");
    let marks = ["&lt;", "&gt;", "&amp;"].map(|mark| text.matches(mark).count());
    assert_eq!(text.matches('&').count(), marks.iter().sum::<usize>(), "{text}");

    let discord = of("/discord").json();
    let embed = &discord["embeds"][0];
    assert!(length(&embed["title"]) <= 256 && length(&embed["description"]) <= 4_096, "{discord}");

    let ntfy = of("/ntfy");
    assert!(ntfy.body.len() <= 4_096 && std::str::from_utf8(&ntfy.body).is_ok());
    let title = ntfy.header("title").expect("a title");
    let decoded: Vec<u8> = title
        .split(' ')
        .flat_map(|word| {
            assert!(word.len() <= 75, "{word}");
            let inner = word.strip_prefix("=?UTF-8?B?").and_then(|word| word.strip_suffix("?="));
            BASE64.decode(inner.expect("an encoded word")).expect("base64")
        })
        .collect();
    let decoded = String::from_utf8(decoded).expect("UTF-8");
    assert!(decoded.starts_with("Job &😀é<&😀é<"), "{decoded}");
    daemon.stop().await;
    receiver.server.stop(false).await;
}

#[actix_web::test]
async fn credentials_in_a_url_are_sent_as_basic_ones_and_shown_nowhere() {
    let simulator = simulator().await;
    let receiver = Receiver::start();
    let database = TestDatabase::new(Backend::Sqlite);
    let host = receiver.url.strip_prefix("http://").expect("a host");
    let channels = format!(
        "{{own: {{url: 'http://ops:p%40ss%3Aw%C3%B6rd@{host}/hidden-token?key=also-hidden'}}}}"
    );
    let daemon = telling(&simulator, &channels).start(&database).await;
    let encoded = BASE64.encode("ops:p@ss:wörd");
    // Servers repeat what they refuse.
    receiver.reply_next(vec![
        Reply::of(401).body(format!("no ops:p@ss:wörd, {encoded}, /hidden-token?key=also-hidden")),
    ]);
    fail(&simulator, &daemon, 1).await;
    let arrived = receiver.arrived(1).await;
    assert_eq!(arrived[0].header("authorization"), Some(format!("Basic {encoded}").as_str()));
    assert_eq!(arrived[0].header("host"), Some(host));
    let failed = |channel: &Value| channel["last_error"].is_string();
    let mut shown = channel_when(&daemon, failed).await.to_string();
    for path in ["/api/notifications", "/health", "/settings", "/api/cloud/notifications/channels"]
    {
        shown += &String::from_utf8_lossy(&daemon.get(path).await.body);
    }
    for secret in ["p@ss", "wörd", "p%40ss", encoded.as_str(), "hidden-token", "also-hidden"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    assert!(shown.contains("the receiver answered 401"), "{shown}");
    // It is a secret where it is stored, too.
    let stored = std::fs::read(database.folder.path().join("jobs.db")).expect("a database");
    daemon.stop().await;
    let after = std::fs::read(database.folder.path().join("jobs.db")).expect("a database");
    for bytes in [stored, after] {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("wörd") && !text.contains("hidden-token"));
    }
    receiver.server.stop(false).await;
}
