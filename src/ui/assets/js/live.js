// Puts what has changed into the page, by asking the daemon for just those parts of it.

import { logIn } from "./door.js";
import { rowOf, rows } from "./rows.js";

/** So long is gathered before the daemon is asked again; progress is less urgent than anything that lasts. */
const GAP_MILLISECONDS = 100;
const PROGRESS_GAP_MILLISECONDS = 1000;
/** Sums over all jobs are asked for less often. */
const TOTALS_GAP_MILLISECONDS = 1000;
/** How often the daemon is asked how far running jobs are that are in sight (page, "Inline Progress API"). */
const LOOK_MILLISECONDS = 5000;
const ROWS_A_REQUEST = 100;
/** After a request that failed. */
const RETRY_MILLISECONDS = 5000;

const source = document.getElementById("updates");
const reloads = document.getElementById("reloads");
const wanted = { rows: new Set(), totals: false, rest: false, soon: false };
/** What the request under way is for, and how it was answered where that was not well. */
let asked = { rows: [], totals: false, rest: false, status: null };
let isAsking = false;
let timer = 0;
let askedAt = 0;
let totalsAt = 0;

export function initLive() {
  if (!source) return;
  document.addEventListener("jobsyncd:event", (event) => onEvent(event.detail));
  document.addEventListener("jobsyncd:refresh", refreshAll);
  for (const failure of ["htmx:error", "htmx:response:error"]) {
    source.addEventListener(failure, (event) => {
      asked.status = event.detail.ctx?.response?.status ?? 0;
    });
  }
  // Another list has other totals.
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.target?.id === "jobs") want({ totals: true });
  });
  const interval = Number(main().dataset.interval);
  if (interval) setInterval(() => want({ rest: true }), interval * 1000);
  setInterval(lookAtRunning, LOOK_MILLISECONDS);
  document.addEventListener("visibilitychange", () => document.hidden || want({ soon: true }));
}

const main = () => document.getElementById("main");
const list = () => document.getElementById("jobs");

function onEvent(event) {
  const isOfPage = event.job_id !== undefined && event.job_id === main().dataset.job;
  const isLasting = event.seq !== undefined || event.type === "provider_degraded";
  if (list()) {
    const row = rowOf(event.job_id);
    if (event.type === "job_deleted") row?.classList.add("is-gone");
    else if (row) wanted.rows.add(event.job_id);
    if (row || isLasting) want({ totals: isLasting, soon: isLasting });
  } else if (isOfPage && event.type === "job_deleted") {
    leave(event);
  } else if (main().dataset.job ? isOfPage : isLasting) {
    want({ rest: true, soon: isLasting });
  }
}

/** The job of this page is no more, or was only another name of one. */
function leave({ merged_into: other }) {
  if (document.documentElement.dataset.leaving) return;
  if (other) location.assign(`/jobs/${encodeURIComponent(other)}`);
  else location.reload();
}

/** Everything may have changed. */
function refreshAll() {
  if (list()) {
    for (const row of rows()) wanted.rows.add(row.dataset.job);
    want({ totals: true, soon: true });
  } else {
    want({ rest: true, soon: true });
  }
}

/** Shows the list as it is now, with what is new in it. */
export async function reloadList() {
  if (!list()) return;
  const address = location.pathname + location.search;
  await htmx.ajax("GET", address, { source: reloads, target: "#jobs", select: "#jobs", swap: "outerMorph show:none" });
  want({ totals: true, soon: true });
}

function want({ totals = false, rest = false, soon = false }) {
  wanted.totals ||= totals;
  wanted.rest ||= rest;
  // What is urgent does not wait behind what is not.
  if (soon && !wanted.soon) {
    wanted.soon = true;
    clearTimeout(timer);
    timer = 0;
  }
  schedule();
}

/** What nobody sees is asked for when somebody looks again. */
function schedule() {
  if (isAsking || timer || document.hidden) return;
  const now = performance.now();
  let wait = askedAt + (wanted.soon ? GAP_MILLISECONDS : PROGRESS_GAP_MILLISECONDS) - now;
  const isOnlyTotals = wanted.totals && !wanted.rest && wanted.rows.size === 0;
  if (isOnlyTotals) wait = Math.max(wait, totalsAt + TOTALS_GAP_MILLISECONDS - now);
  timer = setTimeout(ask, Math.max(0, wait));
}

async function ask() {
  timer = 0;
  wanted.soon = false;
  const address = nextAddress();
  if (!address) return;
  isAsking = true;
  askedAt = performance.now();
  await htmx.ajax("GET", address, { source, target: source, swap: "none" });
  isAsking = false;
  if (asked.status === null) {
    markGone();
    document.dispatchEvent(new CustomEvent("jobsyncd:updated"));
    if (wanted.totals || wanted.rest || wanted.rows.size) schedule();
  } else {
    failed();
  }
}

/** Nothing was learnt, so all of it is still wanted. */
function failed() {
  const { totals, rest, status } = asked;
  if (status === 401) logIn();
  if (status === 404) leave({});
  for (const id of asked.rows) wanted.rows.add(id);
  wanted.totals ||= totals;
  wanted.rest ||= rest;
  totalsAt = 0;
  timer ||= setTimeout(() => {
    timer = 0;
    schedule();
  }, RETRY_MILLISECONDS);
}

/** Rows of jobs that were asked for and are no more. */
function markGone() {
  const gone = document.getElementById("gone")?.textContent.trim();
  for (const id of gone ? JSON.parse(gone) : []) rowOf(id)?.classList.add("is-gone");
}

function nextAddress() {
  asked = { rows: [], totals: false, rest: wanted.rest, status: null };
  if (!list()) {
    wanted.rest = false;
    return main().dataset.updates;
  }
  const address = new URL(list().dataset.updates, location);
  for (const id of [...wanted.rows].slice(0, ROWS_A_REQUEST)) {
    wanted.rows.delete(id);
    if (rowOf(id)) asked.rows.push(id);
  }
  for (const id of asked.rows) address.searchParams.append("row", id);
  if (wanted.totals && performance.now() >= totalsAt + TOTALS_GAP_MILLISECONDS) {
    wanted.totals = false;
    asked.totals = true;
    totalsAt = performance.now();
    address.searchParams.set("totals", "true");
  }
  if (asked.rows.length || asked.totals) return address.pathname + address.search;
  if (wanted.totals) schedule();
  return null;
}

let isLooking = false;

/** The daemon reads the logs of jobs that somebody looks at; whatever it finds comes by the stream. One after
    the other: a slow provider must not take all the connections of the browser. */
async function lookAtRunning() {
  if (isLooking || document.hidden) return;
  isLooking = true;
  for (const row of rows().filter((row) => row.dataset.status === "running")) {
    const { top, bottom } = row.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight) continue;
    await fetch(`/api/cloud/jobs/${encodeURIComponent(row.dataset.job)}/inline-progress`).catch(() => {});
  }
  isLooking = false;
}
