//! Texts of somebody who means harm, wherever a provider or a submitter has a text of their own: they are
//! shown as what they are, make no element and run nothing.

use serde_json::json;

use crate::browser::{Browser, Reader};
use crate::stage::{Stage, hostile_prediction};
use crate::support::webhook::Signer;

/// Ways out of a text, a quoted attribute, a script, a template and htmx's own elements.
const TEXTS: [&str; 5] = [
    "\"><img src=x onerror=window.hit=1><script>window.hit=1</script>",
    "' autofocus onfocus=window.hit=1 x='",
    "</template></hx-partial><hx-partial id=\"main\"><b id=\"evil\">evil</b></hx-partial>",
    "<hx-partial hx-target=\"body\"><iframe src=\"javascript:parent.hit=1\"></iframe></hx-partial>",
    "javascript:window.hit=1//<a href=\"javascript:window.hit=1\" hx-on:click=\"hit=1\" hx-get=\"/x\">x</a>",
];

/// What a hostile text would have made.
const DAMAGE: &str = "return [window.hit ?? 0,
    document.querySelectorAll('img, iframe, #evil, main script, [onerror], [onfocus], [hx-on\\\\:click], [hx-get=\"/x\"]').length,
    [...document.querySelectorAll('a')].filter((link) => !/^https?:$/.test(link.protocol)).length].join()";

#[actix_web::test]
async fn hostile_texts_are_shown_and_nothing_more_in_every_view_also_as_they_come() {
    let stage = Stage::set().await;
    let signer = Signer::default();
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url("/")).await;
    browser.is_live().await;
    let mut ids = Vec::new();
    for (n, text) in TEXTS.into_iter().enumerate() {
        // Once with an identifier that is hostile itself.
        for id in [format!("hostile{n}"), format!("{n}{text}")] {
            let message = format!("msg-{}", ids.len());
            signer.deliver(&stage.daemon, &message, hostile_prediction(&id, text)).await.ok();
            ids.push(id);
        }
        let name: String = text.chars().take(190).collect();
        ids.push(stage.daemon.submit(&json!({"config_name": name, "user_id": name})).await);
    }
    let count = ids.len();
    browser
        .when(&format!(
            "(document.querySelector('#new-jobs button')?.click(), document.querySelectorAll('tr.job').length === {count})"
        ))
        .await;
    assert_eq!(browser.run(DAMAGE).await, "0,0,0", "as they came");
    for text in TEXTS {
        browser.shows("tr.job .line", text).await;
    }

    // The rows are put in anew, one by one.
    for (n, text) in TEXTS.into_iter().enumerate() {
        let id = format!("{n}{text}");
        let mut again = hostile_prediction(&id, text);
        again["metrics"]["predict_time"] = json!(1_000.0 + n as f64);
        signer.deliver(&stage.daemon, &format!("again-{n}"), again).await.ok();
    }
    browser
        .run("document.dispatchEvent(new CustomEvent('jobsyncd:refresh')); document.addEventListener('jobsyncd:updated', () => { window.updated = true; })")
        .await;
    browser.when("window.updated").await;
    assert_eq!(browser.run(DAMAGE).await, "0,0,0", "after an update");

    for path in [
        "/",
        "/?q=%3Cimg",
        "/?q=%22%3E%3Cimg+src=x+onerror=window.hit=1%3E",
        "/queue",
        "/activity",
        "/system",
        "/settings",
        "/activity?job=%3Cimg+src=x%3E",
        "/jobs/%3Cimg+src=x%3E",
        "/?status=%3Cimg+src=x%3E",
    ] {
        browser.go(&stage.url(path)).await;
        browser.when("document.querySelector('main').textContent.length > 5").await;
        assert_eq!(browser.run(DAMAGE).await, "0,0,0", "{path}");
    }
    for id in &ids {
        let path: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        browser.go(&stage.url(&format!("/jobs/{}", path.replace('+', "%20")))).await;
        browser.is_live().await;
        browser.when("document.querySelector('.log-state').textContent").await;
        assert_eq!(browser.run(DAMAGE).await, "0,0,0", "{id}");
    }
    // In the log, also where it was searched for.
    browser.go(&stage.url("/jobs/hostile0")).await;
    browser.shows(".log-lines", TEXTS[0]).await;
    browser.write("#logs input[type=search]", "<img src=x").await;
    browser.shows(".log-lines mark", "<img src=x").await;
    assert_eq!(browser.run(DAMAGE).await, "0,0,0", "in the log");
    // The browser itself remarks on the pages that are not there.
    browser.abandon().await;
    stage.leave().await;
}
