//! The log of a job: as much of it as is looked at, at any length.

use jobsyncd::simulator::{JobUpdate, Status};

use crate::browser::{Browser, Reader};
use crate::stage::Stage;

/// The numbers of the lines that can be seen, and the first and last of their texts.
const VISIBLE: &str = "const view = document.querySelector('.log').getBoundingClientRect();
    return [...document.querySelectorAll('.log-lines > div')]
        .filter((line) => { const { top, bottom } = line.getBoundingClientRect(); return bottom > view.top + 1 && top < view.bottom - 1; })
        .map((line) => Number(line.querySelector('a').textContent))";

/// Waits until a line can be seen.
async fn sees(browser: &Browser, number: u64) {
    browser.when(&format!("(window.visible = (() => {{ {VISIBLE} }})()).includes({number})")).await;
}

#[actix_web::test]
async fn a_log_goes_on_while_it_is_looked_at_and_stays_where_its_reader_is() {
    let stage = Stage::set().await;
    let (id, taken) = stage.submitted("cats").await;
    stage.simulator.set_status(&taken, Status::Processing).expect("it starts");
    let lines =
        |from: u32, to: u32| (from..=to).map(|n| format!("line number {n}\n")).collect::<String>();
    stage.simulator.append_logs(&taken, &lines(1, 300)).expect("it prints");
    stage.tell(&taken).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    sees(&browser, 300).await;
    browser.shows(".log-state", "300 lines").await;
    stage.simulator.append_logs(&taken, &lines(301, 310)).expect("it prints");
    sees(&browser, 310).await;

    // What is selected stays selected while more is printed.
    let select = "const line = document.querySelector('.log-lines > div:nth-last-child(3) span');
        getSelection().selectAllChildren(line); return getSelection().toString()";
    let selected = browser.run(select).await;
    stage.simulator.append_logs(&taken, "line number 310b\n").expect("it prints");
    browser.shows(".log-state", "311 lines").await;
    assert_eq!(browser.run("return getSelection().toString()").await, selected);

    // Who scrolls up stays there.
    browser.run("document.querySelector('.log').scrollTop = 0").await;
    sees(&browser, 1).await;
    browser.when("!document.querySelector('[data-part=follow]').checked").await;
    stage.simulator.append_logs(&taken, &lines(311, 319)).expect("it prints");
    browser.shows(".log-state", "320 lines").await;
    sees(&browser, 1).await;
    browser.click("[data-part=follow]").await;
    sees(&browser, 320).await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_million_lines_are_scrolled_searched_and_linked_like_a_hundred() {
    let stage = Stage::set().await;
    let (id, taken) = stage.submitted("cats").await;
    stage.simulator.set_status(&taken, Status::Processing).expect("it starts");
    let log: String =
        (1..=1_000_000)
            .map(|n| {
                if n % 1_000 == 7 {
                    format!("line {n} <b>LOSS</b>\n")
                } else {
                    format!("line {n}\n")
                }
            })
            .collect();
    stage.simulator.append_logs(&taken, &log).expect("it prints");
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    stage.daemon.logs_settled().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    browser.shows(".log-state", "1,000,000 lines").await;
    sees(&browser, 1_000_000).await;
    assert!(browser.count(".log-lines > div").await < 120, "only what is seen is drawn");

    // Any place of it.
    browser
        .run("const log = document.querySelector('.log'); log.scrollTop = log.scrollHeight / 2")
        .await;
    sees(&browser, 500_030).await;
    browser.shows(".log-lines", "line 500030").await;
    browser.run("document.querySelector('.log').scrollTop = 0").await;
    sees(&browser, 1).await;

    // Drawing a screen of it again and again takes a fraction of a frame.
    let drawing = browser
        .run_async(
            "const done = arguments[0]; const log = document.querySelector('.log'); const times = []; let n = 0;
             const step = () => { const before = performance.now(); log.scrollTop = 20 * n; log.dispatchEvent(new Event('scroll'));
               requestAnimationFrame(() => { times.push(performance.now() - before); n += 1; n < 40 ? step() : done(times.sort((a, b) => a - b)[20]); }); };
             step();",
        )
        .await;
    assert!(drawing.as_f64().is_some_and(|milliseconds| milliseconds < 50.0), "{drawing}");

    browser.write("#logs input[type=search]", "<b>loss").await;
    browser.shows("[data-part=matches]", "1 of 1,000 lines").await;
    sees(&browser, 7).await;
    browser.shows(".log-lines .is-current mark", "<b>LOSS").await;
    browser.click("[data-part=next]").await;
    browser.shows("[data-part=matches]", "2 of 1,000 lines").await;
    sees(&browser, 1_007).await;
    browser.click("[data-part=previous]").await;
    browser.click("[data-part=previous]").await;
    browser.shows("[data-part=matches]", "1,000 of 1,000 lines").await;
    sees(&browser, 999_007).await;

    // A line has an address.
    browser.go(&stage.url(&format!("/jobs/{id}#L654321"))).await;
    browser.reload().await;
    sees(&browser, 654_321).await;
    browser.shows(".log-lines .is-target", "line 654321").await;
    browser.when("document.querySelector('.log-lines a[href=\"#L654325\"]')").await;
    browser.click(".log-lines a[href='#L654325']").await;
    assert!(browser.address().await.ends_with("#L654325"));
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn long_lines_are_wrapped_where_that_is_wanted_and_the_end_is_always_reached() {
    let stage = Stage::set().await;
    let (id, taken) = stage.submitted("cats").await;
    stage.simulator.set_status(&taken, Status::Processing).expect("it starts");
    let log: String = (1..=200).map(|n| format!("line {n} {}\n", "word ".repeat(n % 90))).collect();
    let endless = "x".repeat(2_000_000);
    stage.simulator.append_logs(&taken, &format!("{log}{endless}\nlast\n")).expect("it prints");
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    stage.daemon.logs_settled().await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    sees(&browser, 202).await;
    browser.click("[data-part=wrap]").await;
    sees(&browser, 202).await;
    let widths =
        "const log = document.querySelector('.log'); return log.scrollWidth <= log.clientWidth";
    assert_eq!(browser.run(widths).await, true, "nothing is cut off");
    browser.shows(".log-lines", "characters)").await;
    browser.run("document.querySelector('.log').scrollTop = 0").await;
    sees(&browser, 1).await;
    let href = browser.attribute("#logs a[download]", "href").await.expect("a link");
    let file = stage.daemon.get(&href).await;
    assert!(file.body.len() > 2_000_000 && file.status == 200);
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_block_that_was_not_full_when_it_was_read_is_read_again() {
    let stage = Stage::set().await;
    let (id, taken) = stage.submitted("cats").await;
    stage.simulator.set_status(&taken, Status::Processing).expect("it starts");
    let lines = |from: u32, to: u32| (from..=to).map(|n| format!("line {n}\n")).collect::<String>();
    stage.simulator.append_logs(&taken, &lines(1, 1_500)).expect("it prints");
    stage.tell(&taken).await;
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.is_live().await;
    sees(&browser, 1_500).await;
    browser.shows(".log-lines", "line 1500").await;
    browser.run("document.querySelector('.log').scrollTop = 0").await;
    browser.when("!document.querySelector('[data-part=follow]').checked").await;
    // The second block was read when it had 500 lines; what is printed now fills it and begins the third.
    stage.simulator.append_logs(&taken, &lines(1_501, 2_500)).expect("it prints");
    browser.shows(".log-state", "2,500 lines").await;
    browser
        .run("const log = document.querySelector('.log'); log.scrollTop = log.scrollHeight * 0.75")
        .await;
    browser.shows(".log-lines", "line 1880").await;
    browser.write("#logs input[type=search]", "line 19").await;
    browser.shows("[data-part=matches]", "1 of 111 lines").await;
    browser.close().await;
    stage.leave().await;
}

#[actix_web::test]
async fn a_log_that_is_lost_says_so_in_its_place() {
    let stage = Stage::set().await;
    let (id, taken) = stage.running("cats", 10).await;
    stage.end(&taken, JobUpdate::status(Status::Succeeded)).await;
    stage.daemon.logs_settled().await;
    stage.database.execute("UPDATE job_logs SET pruned_at = 1, packed = ''");
    let browser = Browser::open(Reader::default()).await;
    browser.go(&stage.url(&format!("/jobs/{id}"))).await;
    browser.shows(".log-state", "was pruned").await;
    browser.abandon().await;
    stage.leave().await;
}
