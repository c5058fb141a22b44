//! The dashboard's door: a browser shows a key once, and has a cookie from then on.

use actix_web::http::Method;

use crate::support::daemon::{Answer, Backend, TestDaemon, TestDatabase};

const KEY: &str = "correct-horse-battery-staple";

async fn with_key(database: &TestDatabase) -> TestDaemon {
    TestDaemon::builder().with("JOBSYNCD__SERVER__API_KEY", KEY).start(database).await
}

async fn log_in(daemon: &TestDaemon, form: &str) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    daemon.request(Method::POST, "/login", &headers, Some(form.into())).await
}

async fn get(daemon: &TestDaemon, path: &str, cookie: &str) -> Answer {
    daemon.request(Method::GET, path, &[("cookie", cookie)], None).await
}

#[actix_web::test]
async fn who_logs_in_with_a_key_has_a_session_that_opens_pages_and_api() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_key(&database).await;
    let away = daemon.get("/?status=running").await;
    assert_eq!(away.status, 303);
    assert_eq!(away.header("location"), Some("/login?next=%2F%3Fstatus%3Drunning"));
    assert_eq!(daemon.get("/login").await.status, 200);

    let inside = log_in(&daemon, &format!("key={KEY}&next=%2Fqueue")).await;
    assert_eq!((inside.status.as_u16(), inside.header("location")), (303, Some("/queue")));
    let cookie = inside.header("set-cookie").expect("a cookie").to_owned();
    for promise in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(cookie.contains(promise), "{cookie}");
    }
    assert!(!cookie.contains(KEY), "{cookie}");
    let session = cookie.split(';').next().expect("a pair");
    for path in ["/", "/queue", "/api/cloud/jobs", "/health"] {
        assert_eq!(get(&daemon, path, session).await.status, 200, "{path}");
    }
    let among_others = format!("theme=dark; jobsyncd_session=of-some-other-path; {session}; x");
    assert_eq!(get(&daemon, "/", &among_others).await.status, 200);
    // Who logs out after the session has ended does not come back to that.
    let late = daemon.post("/logout").await;
    assert_eq!(late.header("location"), Some("/login"));
    daemon.stop().await;

    // A restart ends no session, and another key ends all of the first.
    let daemon = with_key(&database).await;
    assert_eq!(get(&daemon, "/", session).await.status, 200);
    daemon.stop().await;
    let other = TestDaemon::builder().with("JOBSYNCD__SERVER__API_KEY", "quite-another-key-0");
    let daemon = other.start(&database).await;
    get(&daemon, "/api/cloud/jobs", session).await.error(401, "unauthorized");
    daemon.stop().await;
}

#[actix_web::test]
async fn a_wrong_key_or_a_forged_session_opens_nothing() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_key(&database).await;
    for form in ["key=wrong", "key=", "", "next=%2F", "key=%00"] {
        let refused = log_in(&daemon, form).await;
        assert_eq!(refused.status, 401, "{form}");
        assert_eq!(refused.header("set-cookie"), None, "{form}");
        assert!(String::from_utf8_lossy(&refused.body).contains("no key of this daemon"));
    }
    for forged in ["jobsyncd_session=", "jobsyncd_session=9999999999.AAAA", "jobsyncd_session"] {
        get(&daemon, "/api/cloud/jobs", forged).await.error(401, "unauthorized");
        assert_eq!(get(&daemon, "/", forged).await.status, 303, "{forged}");
    }
    daemon.stop().await;
}

#[actix_web::test]
async fn nobody_is_sent_to_another_site_and_logging_out_takes_the_cookie_away() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_key(&database).await;
    for next in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let inside = log_in(&daemon, &format!("key={KEY}&next={next}")).await;
        assert_eq!(inside.header("location"), Some("/"), "{next}");
    }
    let inside = log_in(&daemon, &format!("key={KEY}")).await;
    let cookie = inside.header("set-cookie").expect("a cookie").to_owned();
    let headers = [("cookie", cookie.split(';').next().expect("a pair"))];
    let gone = daemon.request(Method::POST, "/logout", &headers, None).await;
    assert_eq!(gone.header("location"), Some("/login"));
    assert!(gone.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    daemon.stop().await;
}

#[actix_web::test]
async fn a_session_does_not_let_another_sites_page_act() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = with_key(&database).await;
    let inside = log_in(&daemon, &format!("key={KEY}")).await;
    let cookie = inside.header("set-cookie").expect("a cookie").to_owned();
    let session = cookie.split(';').next().expect("a pair");
    let headers = [("cookie", session), ("origin", "https://evil.example")];
    let answer = daemon.request(Method::POST, "/api/queue/pause", &headers, None).await;
    answer.error(403, "foreign_origin");
    daemon.stop().await;
}

#[actix_web::test]
async fn without_keys_there_is_no_door() {
    let database = TestDatabase::new(Backend::Sqlite);
    let daemon = TestDaemon::builder().start(&database).await;
    assert_eq!(daemon.get("/login").await.header("location"), Some("/"));
    let foreign = [("host", "evil.example")];
    let answer = daemon.request(Method::GET, "/", &foreign, None).await;
    answer.error(403, "foreign_host");
    daemon.stop().await;
}
