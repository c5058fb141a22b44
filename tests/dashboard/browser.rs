//! A real browser: Debian's Chromium, without a screen, driven by its own driver.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::support::daemon::SOON;
use crate::support::leash::{Leash, Stop, temporary_directory};

/// Every browser is some processes of its own: more than two at a time only wait for each other.
static PLACES: Semaphore = Semaphore::const_new(2);

/// The driver, which starts a browser for each session. It ends with the test process.
static DRIVER: LazyLock<(Leash, String)> = LazyLock::new(|| {
    let directory = temporary_directory("chromedriver");
    let mut command = Command::new("chromedriver");
    command.args(["--port=0"]);
    let leash = Leash::start(directory, Stop::Kill, &command);
    let deadline = Instant::now() + SOON;
    loop {
        let log = leash.log();
        let port =
            log.split("successfully on port ").nth(1).and_then(|rest| rest.split('.').next());
        if let Some(port) = port {
            return (leash, format!("http://127.0.0.1:{port}"));
        }
        assert!(
            Instant::now() < deadline,
            "chromedriver does not start (`make test-deps` installs it): {log}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
});

/// How a reader's browser is.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_dark: bool,
    pub(crate) has_script: bool,
    /// Media features and their values, as in `("prefers-reduced-motion", "reduce")`.
    pub(crate) features: Vec<(&'static str, &'static str)>,
    /// The zone of the reader's clock.
    pub(crate) zone: &'static str,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            width: 1360,
            height: 900,
            is_dark: false,
            has_script: true,
            features: Vec::new(),
            zone: "Asia/Tokyo",
        }
    }
}

impl Reader {
    pub(crate) fn phone() -> Self {
        Self { width: 390, height: 844, ..Self::default() }
    }

    pub(crate) fn dark(self) -> Self {
        Self { is_dark: true, ..self }
    }
}

/// A running browser with one window.
pub(crate) struct Browser {
    driver: WebDriver,
    has_ended: bool,
    _place: SemaphorePermit<'static>,
}

impl Browser {
    pub(crate) async fn open(reader: Reader) -> Self {
        let place = PLACES.acquire().await.expect("it is never closed");
        let mut wishes = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            // It then ends with its driver, however that ends.
            "--remote-debugging-pipe",
            // Tests may run as root, in a container.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            // Nothing is asked of anybody but the daemon.
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
        ] {
            wishes.add_arg(argument).expect("an argument");
        }
        if !reader.has_script {
            let preferences = json!({"profile.managed_default_content_settings.javascript": 2});
            wishes.add_experimental_option("prefs", preferences).expect("an option");
        }
        let logs = json!({"browser": "ALL", "performance": "ALL"});
        wishes.set("goog:loggingPrefs", logs).expect("a capability");
        let driver = WebDriver::new(DRIVER.1.as_str(), wishes).await.expect("a browser");
        let browser = Self { driver, has_ended: false, _place: place };
        browser.become_reader(&reader).await;
        browser
    }

    /// Takes on what another reader has: size, colours, zone.
    pub(crate) async fn become_reader(&self, reader: &Reader) {
        let metrics = json!({
            "width": reader.width, "height": reader.height, "deviceScaleFactor": 1,
            "mobile": reader.width < 500,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if reader.is_dark { "dark" } else { "light" };
        let mut features = vec![json!({"name": "prefers-color-scheme", "value": scheme})];
        let more = reader.features.iter();
        features.extend(more.map(|(name, value)| json!({"name": name, "value": value})));
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features})).await;
        self.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": reader.zone})).await;
    }

    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let done = self.driver.cdp().send_raw(command, parameters).await;
        done.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    pub(crate) async fn reload(&self) {
        self.driver.refresh().await.expect("the page again");
    }

    pub(crate) async fn back(&self) {
        self.driver.back().await.expect("the page before");
    }

    /// The path and query of the page that is shown.
    pub(crate) async fn address(&self) -> String {
        self.run("return location.pathname + location.search + location.hash")
            .await
            .as_str()
            .expect("an address")
            .to_owned()
    }

    /// What a script answers.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let answer = self.driver.execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// The same for a script that is asynchronous: what its last argument is called with.
    pub(crate) async fn run_async(&self, script: &str) -> Value {
        let answer = self.driver.execute_async(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// What an expression is, as soon as it is anything but null, false, 0 or an empty text.
    pub(crate) async fn when(&self, expression: &str) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let script = format!("return ({expression}) || null");
            // A page may go away under the script.
            if let Ok(answer) = self.driver.execute(&script, Vec::new()).await
                && !answer.json().is_null()
            {
                return answer.json().clone();
            }
            if Instant::now() > deadline {
                let body = self.run("return document.body.innerText").await;
                let console = self.console().await;
                panic!(
                    "never: {expression}\nconsole: {console:#?}\npage: {}",
                    body.as_str().unwrap_or_default()
                );
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// Waits until an element holds a text.
    pub(crate) async fn shows(&self, selector: &str, text: &str) {
        self.when(&format!(
            "[...document.querySelectorAll({})].some((found) => found.innerText.replace(/\\s+/g, ' ').includes({}))",
            json!(selector),
            json!(text)
        ))
        .await;
    }

    pub(crate) async fn is_live(&self) {
        self.when("document.querySelector('#connection').dataset.state === 'live'").await;
    }

    /// The text of the first such element, without runs of blanks.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(selector));
        let text = self.run(&script).await;
        text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(crate) async fn count(&self, selector: &str) -> u64 {
        let script = format!("return document.querySelectorAll({}).length", json!(selector));
        self.run(&script).await.as_u64().expect("a count")
    }

    pub(crate) async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let (selector, name) = (json!(selector), json!(name));
        let script =
            format!("return document.querySelector({selector})?.getAttribute({name}) ?? null");
        self.run(&script).await.as_str().map(str::to_owned)
    }

    pub(crate) async fn find(&self, selector: &str) -> WebElement {
        let found = self.driver.find(By::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Clicks as a person does: the element must be in sight, and nothing above it.
    pub(crate) async fn click(&self, selector: &str) {
        self.when(&format!("document.querySelector({})", json!(selector))).await;
        let clicked = self.find(selector).await.click().await;
        clicked.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    pub(crate) async fn write(&self, selector: &str, text: &str) {
        let written = self.find(selector).await.send_keys(text).await;
        written.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        let pressed = self.driver.action_chain().send_keys(keys).perform().await;
        pressed.unwrap_or_else(|error| panic!("{keys}: {error}"));
    }

    pub(crate) async fn new_tab(&self) -> WindowHandle {
        let tab = self.driver.new_tab().await.expect("a tab");
        self.driver.switch_to_window(tab.clone()).await.expect("the tab");
        tab
    }

    pub(crate) async fn this_tab(&self) -> WindowHandle {
        self.driver.window().await.expect("a tab")
    }

    pub(crate) async fn switch_to(&self, tab: &WindowHandle) {
        self.driver.switch_to_window(tab.clone()).await.expect("the tab");
    }

    pub(crate) async fn close_tab(&self) {
        self.driver.close_window().await.expect("it closes");
    }

    /// What the page has complained of since this was asked last. The browser's own remarks on answers that
    /// tests ask for are left out by their callers.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.driver.get_log("browser").await.expect("the console");
        let entries = entries.into_iter();
        entries.map(|entry| format!("{}: {}", entry.level, entry.message)).collect()
    }

    /// Every address that was asked for since this was asked last.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let entries = self.driver.get_log("performance").await.expect("the log");
        let sent = entries.into_iter().filter_map(|entry| {
            let entry: Value = serde_json::from_str(&entry.message).ok()?;
            let message = &entry["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().map(str::to_owned))?
        });
        sent.collect()
    }

    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.driver.screenshot_as_png().await.expect("a picture")
    }

    /// Ends the browser. Its console must be silent.
    pub(crate) async fn close(self) {
        let said = self.console().await;
        assert!(said.is_empty(), "{said:#?}");
        self.abandon().await;
    }

    /// The same after something failed on purpose.
    pub(crate) async fn abandon(mut self) {
        self.has_ended = true;
        self.driver.clone().quit().await.expect("it ends");
    }
}

impl Drop for Browser {
    /// After a test that failed: else its browser would go on, and take the time of all the others.
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let address = DRIVER.1.trim_start_matches("http://");
        let head = format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n",
            self.driver.handle().session_id()
        );
        // The driver's own way would wait for an answer that this thread cannot take any more.
        let _ = self.driver.clone().leak();
        // Where that fails there is nothing left to be ended.
        if let Ok(mut socket) = TcpStream::connect(address) {
            let _ = socket.write_all(head.as_bytes());
            let _ = socket.read(&mut [0; 1]);
        }
    }
}
