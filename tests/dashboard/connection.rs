//! How true the page is, and that it says so: live, catching up, polling, offline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use jobsyncd::simulator::{JobUpdate, Seed, Simulator, Status};

use crate::browser::{Browser, Reader};
use crate::stage::{Stage, quiet};
use crate::support::daemon::{TestDaemon, TestDatabase};

/// Another daemon at the address of one that has stopped.
async fn again(simulator: &Simulator, database: &TestDatabase, address: SocketAddr) -> TestDaemon {
    quiet(simulator).with("JOBSYNCD__SERVER__BIND", address.to_string()).start(database).await
}

#[actix_web::test]
async fn what_happens_while_the_connection_is_lost_is_there_after_it() {
    let mut stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 100).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let address = stage.daemon.daemon.address();
    let elsewhere = quiet(&stage.simulator).start(&stage.database);
    stage.daemon.stop().await;
    browser.when("document.querySelector('#connection').dataset.state === 'offline'").await;
    browser.shows("#connection", "Offline as of").await;

    // Nobody sees this happen.
    stage.daemon = elsewhere.await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    stage.simulator.seed(&Seed::new(2, &[Status::Processing]));
    stage.daemon.sync().await;
    stage.daemon.stop().await;

    stage.daemon = again(&stage.simulator, &stage.database, address).await;
    browser.is_live().await;
    browser.shows(&format!("[id='job-{id}'] .job-status"), "Completed").await;
    browser.shows("#new-jobs", "2 new").await;
    browser.shows("#chip-all", "All 3").await;
    // The browser itself remarks on the connection that was refused.
    browser.abandon().await;
    stage.leave().await;
}

#[actix_web::test]
async fn who_comes_back_to_many_events_is_told_that_it_catches_up() {
    let mut stage = Stage::set().await;
    stage.discoverable();
    stage.daemon.sync().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    browser
        .run("window.states = []; document.addEventListener('jobsyncd:state', (event) => window.states.push(event.detail.name))")
        .await;
    let address = stage.daemon.daemon.address();
    let elsewhere = quiet(&stage.simulator).start(&stage.database);
    stage.daemon.stop().await;
    browser.when("window.states.includes('offline')").await;
    stage.daemon = elsewhere.await;
    stage
        .simulator
        .seed(&Seed { interval_milliseconds: 1_000, ..Seed::new(90, &[Status::Succeeded]) });
    stage.daemon.sync().await;
    stage.daemon.stop().await;
    stage.daemon = again(&stage.simulator, &stage.database, address).await;
    browser.when("window.states.at(-1) === 'live'").await;
    let states = browser.run("return window.states.join()").await;
    assert!(states.as_str().is_some_and(|states| states.ends_with("catching-up,live")), "{states}");
    browser.abandon().await;
    stage.leave().await;
}

/// What a proxy does to what passes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mischief {
    /// It holds back streams, as some do.
    HoldsBack,
    /// It answers the first updates itself: that the daemon does not.
    FailsUpdates,
}

/// A proxy before the daemon.
async fn proxy(upstream: &str, mischief: Mischief) -> SocketAddr {
    #[derive(Clone)]
    struct Way {
        upstream: String,
        mischief: Mischief,
        failures: Arc<AtomicU32>,
    }

    async fn pass(request: HttpRequest, body: Bytes, way: Data<Way>) -> HttpResponse {
        let Way { upstream, mischief, failures } = way.get_ref();
        match (mischief, request.path()) {
            (Mischief::HoldsBack, "/api/events") => return std::future::pending().await,
            (Mischief::FailsUpdates, "/updates/jobs")
                if failures.fetch_add(1, Ordering::Relaxed) < 2 =>
            {
                return HttpResponse::BadGateway().body("<p>nothing</p>");
            }
            _ => {}
        }
        let mut call = awc::Client::new()
            .request(request.method().clone(), format!("{upstream}{}", request.uri()));
        for name in ["content-type", "last-event-id"] {
            if let Some(value) = request.headers().get(name) {
                call = call.insert_header((name, value.clone()));
            }
        }
        let answer = call.no_decompress().send_body(body).await.expect("the daemon answers");
        let mut passed = HttpResponse::build(answer.status());
        for (name, value) in answer.headers() {
            if name != "content-length" && name != "transfer-encoding" && name != "connection" {
                passed.append_header((name.clone(), value.clone()));
            }
        }
        passed.streaming(answer)
    }
    let way = Way { upstream: upstream.to_owned(), mischief, failures: Arc::default() };
    let server = HttpServer::new(move || {
        App::new().app_data(Data::new(way.clone())).default_service(web::to(pass))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

#[actix_web::test]
async fn behind_a_proxy_that_holds_back_the_stream_the_page_polls_and_says_so() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 100).await;
    let proxy = proxy(&stage.daemon.url, Mischief::HoldsBack).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&format!("http://{proxy}/")).await;
    browser.shows("#connection", "Polling something on the way holds back the stream").await;
    // A tab that takes over goes on polling.
    let first = browser.this_tab().await;
    let second = browser.new_tab().await;
    browser.go(&format!("http://{proxy}/")).await;
    browser.shows("#connection", "Polling").await;
    browser.switch_to(&first).await;
    browser.close_tab().await;
    browser.switch_to(&second).await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    browser.shows(&format!("[id='job-{id}'] .job-status"), "Completed").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn an_update_that_failed_is_asked_for_again() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 100).await;
    let proxy = proxy(&stage.daemon.url, Mischief::FailsUpdates).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&format!("http://{proxy}/")).await;
    browser.is_live().await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    browser.shows(&format!("[id='job-{id}'] .job-status"), "Completed").await;
    browser.shows("#chip-completed", "Completed 1").await;
    // The browser itself remarks on the 502.
    browser.abandon().await;
    stage.leave().await;
}

#[actix_web::test]
async fn all_tabs_of_a_browser_share_one_stream_also_after_its_tab_is_closed() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 100).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let mut tabs = vec![browser.this_tab().await];
    for path in ["/", "/queue", "/activity", "/system", "/settings", "/"] {
        tabs.push(browser.new_tab().await);
        browser.go(&stage.url(path)).await;
        browser.is_live().await;
    }
    assert_eq!(stage.daemon.count_streams().await, 1);

    // The first tab reads for all.
    browser.switch_to(&tabs[0]).await;
    browser.close_tab().await;
    browser.switch_to(&tabs[1]).await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    for tab in [&tabs[1], &tabs[6]] {
        browser.switch_to(tab).await;
        browser.shows(&format!("[id='job-{id}'] .job-status"), "Completed").await;
        browser.is_live().await;
    }
    stage.daemon.until_streams_are(1).await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn where_no_stream_is_free_the_page_polls_until_one_is() {
    let stage =
        Stage::set_with(|builder| builder.with("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "1"))
            .await;
    let (id, taken) = stage.running("cats", 100).await;
    let taking_the_only_one = stage.daemon.events().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.shows("#connection", "Polling no more streams are free").await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    browser.shows(&format!("[id='job-{id}'] .job-status"), "Completed").await;
    drop(taking_the_only_one);
    browser.is_live().await;
    browser.abandon().await;
    stage.leave().await;
}
