//! Readers of every kind: by keyboard, by screen reader, on a phone, without a script, in another zone.

use jobsyncd::simulator::{JobUpdate, Seed, Status};
use rstest::rstest;
use serde_json::json;

use crate::browser::{Browser, Reader};
use crate::stage::Stage;

/// What axe-core finds in the page as it is now.
async fn violations(browser: &Browser) -> Vec<String> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/target/axe-core/axe_playwright_python/axe.min.js");
    let axe = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{path}: {error}; `make test-deps` installs it"));
    browser.run(&axe).await;
    let found = browser
        .run_async(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(
                (result) => done(result.violations.map((violation) => `${violation.id}: ${violation.help}: ` +
                    violation.nodes.map((node) => node.html.slice(0, 160) + ' | ' + node.failureSummary).join(' ## '))),
                (error) => done([String(error)]))",
        )
        .await;
    found
        .as_array()
        .expect("a list")
        .iter()
        .map(|text| text.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// A daemon with something in each of its views.
async fn lively() -> (Stage, String) {
    let stage =
        Stage::set_with(|builder| builder.with("JOBSYNCD__QUEUE__MAX_CONCURRENT", "2")).await;
    stage.simulator.seed(&Seed::new(
        7,
        &[Status::Starting, Status::Succeeded, Status::Failed, Status::Canceled],
    ));
    stage.daemon.sync().await;
    let (id, _) = stage.running("botanical-plates", 1_200).await;
    let (_, failing) = stage.running("cats", 700).await;
    let error = Some(
        "torch.cuda.OutOfMemoryError: CUDA out of memory.\nTried to allocate 2.50 GiB".to_owned(),
    );
    stage.end(&failing, JobUpdate { error, ..JobUpdate::status(Status::Failed) }).await;
    for name in ["waiting-one", "waiting-two"] {
        stage.daemon.submit(&json!({"config_name": name})).await;
    }
    (stage, id)
}

const VIEWS: [&str; 7] =
    ["/", "/?q=nothing", "/queue", "/activity", "/system", "/settings", "/jobs/{id}"];

#[rstest]
#[actix_web::test]
async fn no_view_has_anything_that_keeps_a_reader_out(#[values(false, true)] is_dark: bool) {
    let (stage, id) = lively().await;
    let reader = Reader { is_dark, ..Reader::default() };
    let browser = Browser::open(reader).await;
    let mut found = Vec::new();
    for view in VIEWS {
        browser.go(&stage.url(&view.replace("{id}", &id))).await;
        browser.is_live().await;
        if view.contains("{id}") {
            browser.when("document.querySelectorAll('#curves canvas').length === 3").await;
        }
        found.extend(violations(&browser).await.into_iter().map(|what| format!("{view}: {what}")));
    }
    browser.click("#cancel-job").await;
    found.extend(violations(&browser).await.into_iter().map(|what| format!("question: {what}")));
    browser.click("dialog[open] button[value=no]").await;
    browser.press("?").await;
    browser.shows("dialog[open]", "Keyboard shortcuts").await;
    found.extend(violations(&browser).await.into_iter().map(|what| format!("help: {what}")));
    assert_eq!(found, Vec::<String>::new());
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn the_door_and_a_page_that_is_not_there_keep_nobody_out_either() {
    let stage = Stage::set_with(|builder| {
        builder.with("JOBSYNCD__SERVER__API_KEY", "correct-horse-battery")
    })
    .await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/queue")).await;
    browser.shows("h1", "jobsyncd").await;
    assert_eq!(violations(&browser).await, Vec::<String>::new());
    // What it would say is said: a checker that finds nothing anywhere checks nothing.
    browser.run("document.querySelector('main').append(document.createElement('button'))").await;
    let found = violations(&browser).await;
    assert!(found.len() == 1 && found[0].starts_with("button-name"), "{found:?}");
    browser.write("#key", "wrong").await;
    browser.click("form button").await;
    browser.shows("[role=alert]", "no key of this daemon").await;
    assert_eq!(violations(&browser).await, Vec::<String>::new());
    browser.write("#key", "correct-horse-battery").await;
    browser.click("form button").await;
    browser.when("location.pathname === '/queue'").await;
    browser.is_live().await;
    browser.go(&stage.url("/jobs/nobody")).await;
    browser.shows("h1", "There is no such page").await;
    assert_eq!(violations(&browser).await, Vec::<String>::new());
    browser.click("form[action='/logout'] button").await;
    browser.when("location.pathname === '/login'").await;

    // A session that has ended leads to the door and back, and takes nothing away from the page.
    browser.write("#key", "correct-horse-battery").await;
    browser.click("form button").await;
    browser.is_live().await;
    browser.devtools("Network.clearBrowserCookies", json!({})).await;
    browser.click("#chip-failed").await;
    browser
        .when("location.pathname + location.search === '/login?next=%2F%3Fstatus%3Dfailed'")
        .await;
    // The browser itself remarks on the 401 and the 404.
    browser.abandon().await;
    stage.leave().await;
}

#[actix_web::test]
async fn the_list_is_used_by_keys_alone() {
    let (stage, _) = lively().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let current = "document.activeElement.closest('tr.job')?.sectionRowIndex ?? -1";
    for (key, row) in [("j", 0), ("j", 1), ("j", 2), ("k", 1)] {
        browser.press(key).await;
        assert_eq!(browser.run(&format!("return {current}")).await, row, "{key}");
    }
    let outline = "const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement); return outlineStyle + outlineWidth";
    assert_eq!(browser.run(outline).await, "solid2px", "the focus is seen");
    let id = browser.run("return document.activeElement.closest('tr').dataset.job").await;
    browser.press("\u{E007}").await;
    browser.when(&format!("location.pathname === '/jobs/' + {id}")).await;
    browser.is_live().await;
    browser.press("l").await;
    browser.when("document.activeElement.matches('.log')").await;
    browser.press("\u{E004}").await;
    browser.when("!document.activeElement.closest('#logs')").await;
    browser.press("/").await;
    browser.when("document.activeElement.matches('#logs input')").await;

    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    browser.press("/").await;
    browser.when("document.activeElement.id === 'q'").await;
    browser.press("cats").await;
    browser
        .when("location.search === '?q=cats' && document.querySelectorAll('tr.job').length === 1")
        .await;
    // Letters in a field are letters.
    assert_eq!(browser.run("return document.querySelector('#q').value").await, "cats");
    browser.press("\u{E00C}").await;
    browser.when("location.search === ''").await;
    browser.press("\u{E00C}").await;
    browser.when("document.activeElement === document.body").await;
    browser.press("s").await;
    browser.shows("#toasts", "Discovered 0 jobs from Replicate").await;
    browser.press("?").await;
    browser.shows("dialog[open]", "Keyboard shortcuts").await;
    browser.press("\u{E00C}").await;
    browser.when("!document.querySelector('dialog[open]')").await;

    // The job under the focus is cancelled after a question, and a retry is about that one.
    browser.write("#q", "botanical").await;
    browser.when("location.search === '?q=botanical' && document.querySelectorAll('tr.job').length === 1").await;
    browser.press("\u{E004}").await;
    browser.run("document.querySelector('tr.job a').focus()").await;
    browser.press("c").await;
    browser.shows("dialog[open]", "botanical-plates stops where it is").await;
    browser.click("dialog[open] button[value=yes]").await;
    browser.shows("tr.job .job-status", "Cancelled").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn shortcuts_can_be_turned_off() {
    let (stage, _) = lively().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/settings")).await;
    browser.is_live().await;
    browser.click(".card [data-preference=shortcuts]").await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    browser.press("?jcs").await;
    assert_eq!(browser.count("dialog[open], [aria-busy]").await, 0);
    assert_eq!(browser.run("return document.activeElement === document.body").await, true);
    browser.click("[data-open=help]").await;
    browser.shows("dialog[open]", "Keyboard shortcuts").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn who_moves_by_tab_sees_where_and_can_skip_to_the_content() {
    let (stage, _) = lively().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    browser.press("\u{E004}").await;
    assert_eq!(browser.run("return document.activeElement.className").await, "skip");
    browser.when("document.activeElement.getBoundingClientRect().left >= 0").await;
    browser.press("\u{E007}").await;
    browser.when("document.activeElement.id === 'main'").await;
    // What tells of changes is told to who cannot see them.
    for (region, role) in [
        ("#toasts", "status"),
        ("#alerts", "alert"),
        ("#connection", "status"),
        ("#new-jobs", "status"),
    ] {
        assert_eq!(browser.attribute(region, "role").await.as_deref(), Some(role), "{region}");
    }
    browser.close().await;
    stage.leave().await;
}

/// What of a page is beyond the right edge of a window that is so wide. On a phone the window itself would
/// become as wide as what does not fit.
fn overflow(width: u32) -> String {
    format!(
        "const wide = document.documentElement.scrollWidth;
        return wide <= {width} ? '' : `${{wide}}: ` + [...document.querySelectorAll('body *')]
            .filter((element) => element.getBoundingClientRect().right > {width} + 1).slice(0, 4)
            .map((element) => element.outerHTML.slice(0, 120)).join(' | ')"
    )
}

#[rstest]
#[case::a_phone(Reader::phone())]
#[case::at_400_percent(Reader { width: 320, height: 256, ..Reader::default() })]
#[case::a_small_window(Reader { width: 900, height: 700, ..Reader::default() })]
#[case::a_middling_window(Reader { width: 1_100, height: 700, ..Reader::default() })]
#[case::the_narrowest_table(Reader { width: 1_250, height: 700, ..Reader::default() })]
#[actix_web::test]
async fn every_view_fits_into_the_window(#[case] reader: Reader) {
    let (stage, id) = lively().await;
    let name = "a-name-without-any-blank-".repeat(8);
    stage.daemon.post_json("/api/queue/concurrency", &json!({"max_concurrent": 9})).await.ok();
    let (long, _) = stage.running(&name, 300).await;
    let overflow = overflow(reader.width);
    let browser = Browser::open(reader).await;
    for view in VIEWS.into_iter().chain(["/jobs/{long}"]) {
        let view = view.replace("{id}", &id).replace("{long}", &long);
        browser.go(&stage.url(&view)).await;
        browser.is_live().await;
        assert_eq!(browser.run(&overflow).await, "", "{view}");
    }
    // What the list says is all there.
    browser.go(&stage.url("/?q=botanical")).await;
    let row = browser.run("return document.querySelector('tr.job').innerText").await;
    for part in ["botanical-plates", "Running", "60.0 %", "left", "l40s", "confirmed"] {
        assert!(row.as_str().is_some_and(|row| row.contains(part)), "{row} has no {part}");
    }
    let bar = browser.run("return document.querySelector('tr.job progress').offsetWidth").await;
    assert!(bar.as_u64().is_some_and(|pixels| pixels >= 80), "a bar of {bar} pixels");
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn without_a_script_the_list_is_read_filtered_and_searched() {
    let (stage, id) = lively().await;
    let reader = Reader { has_script: false, ..Reader::default() };
    let browser = Browser::open(reader).await;
    browser.go(&stage.url("/")).await;
    assert_eq!(browser.count("html.has-script").await, 0);
    assert_eq!(browser.count("tr.job").await, 11);
    let seen = |selector: &str| {
        format!("return document.querySelector({}).checkVisibility()", json!(selector))
    };
    assert_eq!(browser.run(&seen(".sync")).await, false, "what needs a script is not shown");
    assert_eq!(browser.run(&seen("[role=search] button")).await, true);
    browser.click("#chip-failed").await;
    browser.when("location.search === '?status=failed'").await;
    browser.write("#q", "cats").await;
    browser.click("[role=search] button").await;
    browser
        .when("location.search.includes('q=cats') && location.search.includes('status=failed')")
        .await;
    assert_eq!(browser.text("#shown").await, "1 job");
    browser.click("tr.job a").await;
    browser.shows(".error-text", "CUDA out of memory").await;
    for view in VIEWS {
        browser.go(&stage.url(&view.replace("{id}", &id))).await;
        browser.shows("main", "").await;
    }
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn times_are_in_the_readers_zone_with_utc_beside_them() {
    let stage = Stage::set().await;
    let (id, _) = stage.running("cats", 100).await;
    let browser = Browser::open(Reader { zone: "Asia/Kolkata", ..Reader::default() }).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    let times = browser
        .run("const time = document.querySelector('.timeline time'); return [time.dateTime, time.textContent, time.title]")
        .await;
    let [at, shown, title] = [0, 1, 2].map(|part| times[part].as_str().expect("a text").to_owned());
    let at = chrono::DateTime::parse_from_rfc3339(&at).expect("an instant");
    let there = at.with_timezone(&chrono::FixedOffset::east_opt(19_800).expect("a zone"));
    assert!(shown.contains(&there.format("%-I:%M:%S").to_string()), "{shown} is not {there}");
    assert_eq!(title, at.format("%Y-%m-%d %H:%M:%S UTC").to_string());
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn who_wants_no_motion_has_none_and_who_has_own_colours_sees_the_same() {
    let (stage, _) = lively().await;
    let still =
        Reader { features: vec![("prefers-reduced-motion", "reduce")], ..Reader::default() };
    let browser = Browser::open(still).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let moving = "document.querySelector('.sync').setAttribute('aria-busy', 'true');
        return getComputedStyle(document.querySelector('.sync svg')).animationName";
    assert_eq!(browser.run(moving).await, "none");
    browser
        .become_reader(&Reader { features: vec![("forced-colors", "active")], ..Reader::default() })
        .await;
    browser.reload().await;
    browser.is_live().await;
    let border = "return getComputedStyle(document.querySelector('progress')).borderTopWidth";
    assert_eq!(browser.run(border).await, "1px", "a bar has an outline");
    let outline =
        "return getComputedStyle(document.querySelector('.chips [aria-current]')).outlineStyle";
    assert_eq!(browser.run(outline).await, "solid", "the chosen filter is seen");
    assert_eq!(violations(&browser).await, Vec::<String>::new());
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn nothing_is_asked_of_anybody_but_the_daemon() {
    let (stage, id) = lively().await;
    let browser = Browser::open(Reader::default()).await;
    for view in VIEWS {
        browser.go(&stage.url(&view.replace("{id}", &id))).await;
        browser.is_live().await;
    }
    let asked = browser.requests().await;
    assert!(asked.len() > 20, "{asked:?}");
    let others: Vec<_> = asked.iter().filter(|url| !url.starts_with(&stage.daemon.url)).collect();
    assert_eq!(others, Vec::<&String>::new());
    let policy = stage.daemon.get("/").await;
    let policy = policy.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for view in VIEWS {
        let page = stage.daemon.get(&view.replace("{id}", &id)).await;
        let page = String::from_utf8_lossy(&page.body).into_owned();
        for inline in ["<style", " style=", "<script>", " onclick=", "javascript:", "hx-on"] {
            assert!(!page.contains(inline), "{view} has {inline}");
        }
    }
    browser.close().await;
    stage.leave().await;
}
