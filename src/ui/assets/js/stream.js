// One stream of events for all tabs of a browser.
//
// Whoever holds the lock reads the stream, through htmx's extension, and hands every event on to the other
// tabs. When its tab is closed the lock goes to another, which goes on from the last event that it has seen.
// Where there are no locks (plain http from another machine) each visible tab has a stream of its own.
//
// Positions in the log of events have no gaps, so a tab that misses one knows it, and asks for everything anew.

import { logIn } from "./door.js";

const QUIET_MILLISECONDS = 4000;
const RETRY_MILLISECONDS = 5000;
const POLL_MILLISECONDS = 5000;
const HELP_MILLISECONDS = 15000;

const element = document.getElementById("stream");
const channel = new BroadcastChannel("jobsyncd");
const hasLocks = "locks" in navigator;

let isReader = false;
let position = document.documentElement.dataset.position === "" ? null : Number(document.documentElement.dataset.position);
let newest = 0;
let state = { name: "connecting", detail: "" };
let connection = null;
let quietTimer = 0;
let retryTimer = 0;
let pollTimer = 0;

/** Begins to listen, by this tab's own stream or by that of another. */
export function startStream() {
  if (!element) return;
  listen();
  if (hasLocks) {
    channel.addEventListener("message", (message) => hear(message.data));
    channel.postMessage({ kind: "hello" });
    // Held until this tab is gone.
    navigator.locks.request("jobsyncd-stream", () => new Promise(() => read()));
    // The reader's tab may be asleep, and its timers with it. Who looks at this one helps himself.
    setInterval(() => {
      if (!isReader && !document.hidden && state.name !== "live") tell("refresh");
    }, HELP_MILLISECONDS);
  } else {
    element.setAttribute("hx-config", `${element.getAttribute("hx-config")} sse.pauseOnBackground:true`);
    read();
  }
}

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`jobsyncd:${name}`, { detail }));
}

function enter(name, detail = "") {
  if (state.name === name && state.detail === detail) return;
  state = { name, detail };
  clearInterval(pollTimer);
  if (isReader && (name === "polling" || name === "offline")) {
    pollTimer = setInterval(() => share({ kind: "refresh" }), POLL_MILLISECONDS);
  }
  tell("state", state);
  if (isReader) channel.postMessage({ kind: "state", state, position });
}

/** Tells the other tabs, and this one. */
function share(message) {
  if (hasLocks) channel.postMessage(message);
  hear(message);
}

/** What the reading tab has told. */
function hear(message) {
  if (message.kind === "event") {
    take(message.event);
  } else if (message.kind === "refresh") {
    tell("refresh");
  } else if (message.kind === "hello" && isReader) {
    channel.postMessage({ kind: "state", state, position });
  } else if (message.kind === "state" && !isReader) {
    enter(message.state.name, message.state.detail);
    if (position !== null && message.position !== null && message.position > position) {
      position = message.position;
      tell("refresh");
    }
  } else if (message.kind === "reset") {
    position = message.position;
    tell("refresh");
  }
}

function take(event) {
  if (event.seq !== undefined) {
    if (position !== null && event.seq <= position) return;
    const isMissing = position !== null && event.seq > position + 1;
    position = event.seq;
    if (isMissing) tell("refresh");
  }
  tell("event", event);
}

/** Reads the stream in this tab. */
function read() {
  isReader = true;
  // What another reader has told is over: whatever comes next is told anew, and polled for where it must be.
  state = { name: "", detail: "" };
  enter("connecting");
  connect();
}

function connect() {
  clearTimeout(retryTimer);
  const from = position === null ? "" : `?last_event_id=${position}`;
  expectWords();
  htmx.ajax("GET", `/api/events${from}`, { source: element, swap: "none" });
}

function retry() {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, RETRY_MILLISECONDS);
}

/** A stream begins with a greeting. Where none comes, something on the way holds it back. */
function expectWords() {
  clearTimeout(quietTimer);
  quietTimer = setTimeout(() => {
    enter("polling", "something on the way holds back the stream");
    tell("refresh");
  }, QUIET_MILLISECONDS);
}

function listen() {
  // A page that is left gives back its stream at once: the browser may keep the page for whoever goes back, and
  // the next page needs one.
  addEventListener("pagehide", () => {
    isReader = false;
    connection?.abortController?.abort();
    element.remove();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  element.addEventListener("htmx:sse:before:message", (event) => {
    // They are no HTML to be put anywhere.
    event.preventDefault();
    clearTimeout(quietTimer);
    understand(JSON.parse(event.detail.message.data));
  });
  element.addEventListener("htmx:sse:before:connection", (event) => {
    if (event.detail.connection.attempt > 0) {
      clearTimeout(quietTimer);
      enter("offline");
    }
  });
  element.addEventListener("htmx:sse:after:connection", (event) => {
    connection = event.detail.connection;
    expectWords();
  });
  // The first request of all has failed; later ones the extension repeats by itself.
  element.addEventListener("htmx:error", () => {
    clearTimeout(quietTimer);
    enter("offline");
    retry();
  });
  element.addEventListener("htmx:response:error", (event) => {
    refused(event.detail.ctx.response.status);
    retry();
  });
  element.addEventListener("htmx:sse:error", (event) => {
    if (event.detail.status) refused(event.detail.status);
  });
  element.addEventListener("htmx:sse:close", (event) => {
    if (event.detail.reason !== "removed") retry();
  });
}

function refused(status) {
  clearTimeout(quietTimer);
  if (status === 401) logIn();
  enter("polling", status === 503 ? "no more streams are free" : `the stream was answered ${status}`);
}

function understand(event) {
  if (event.type === "connected") {
    newest = event.seq;
    if (position === null) {
      position = newest;
      share({ kind: "reset", position });
    }
    enter(position < newest ? "catching-up" : "live");
  } else if (event.type === "reset") {
    newest = event.seq;
    share({ kind: "reset", position: newest });
    enter("live");
  } else if (event.type !== "cloud_job_update") { // which repeats another one for SimpleTuner's page
    share({ kind: "event", event });
    if (state.name === "catching-up" && position >= newest) enter("live");
  }
}
