// Puts what has changed into the page, by asking the daemon for just those parts of it.

import { hasRows, rowOf } from "./rows.js";

/** So long is gathered before the daemon is asked again. */
const GAP_MILLISECONDS = 100;
/** Sums over all jobs are asked for less often. */
const TOTALS_GAP_MILLISECONDS = 1000;
/** How often the daemon is asked how far running jobs are that are in sight (page, "Inline Progress API"). */
const LOOK_MILLISECONDS = 5000;
const ROWS_A_REQUEST = 100;

const source = document.getElementById("updates");
const wanted = { rows: new Set(), totals: false, rest: false };
let isAsking = false;
let timer = 0;
let askedAt = 0;
let totalsAt = 0;

export function initLive() {
  if (!source) return;
  document.addEventListener("jobsyncd:event", (event) => onEvent(event.detail));
  document.addEventListener("jobsyncd:refresh", refreshAll);
  source.addEventListener("htmx:response:error", (event) => {
    if (event.detail.ctx.response.status === 401) location.assign("/login");
  });
  const interval = Number(main().dataset.interval);
  if (interval) setInterval(() => document.hidden || want({ rest: true }), interval * 1000);
  setInterval(lookAtRunning, LOOK_MILLISECONDS);
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
    if (row || isLasting) want({ totals: isLasting });
  } else if (isOfPage && event.type === "job_deleted") {
    leave(event);
  } else if (main().dataset.job ? isOfPage : isLasting) {
    want({ rest: true });
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
    for (const row of document.querySelectorAll("[data-job].job")) wanted.rows.add(row.dataset.job);
    want({ totals: true });
  } else {
    want({ rest: true });
  }
}

/** Shows the list as it is now, with what is new in it. */
export async function reloadList() {
  if (!list()) return;
  const address = location.pathname + location.search;
  await htmx.ajax("GET", address, { source, target: "#jobs", select: "#jobs", swap: "outerMorph show:none" });
  want({ totals: true });
}

function want({ totals = false, rest = false }) {
  wanted.totals ||= totals;
  wanted.rest ||= rest;
  schedule();
}

function schedule() {
  if (isAsking || timer) return;
  const now = performance.now();
  let wait = askedAt + GAP_MILLISECONDS - now;
  const isOnlyTotals = wanted.totals && !wanted.rest && wanted.rows.size === 0;
  if (isOnlyTotals) wait = Math.max(wait, totalsAt + TOTALS_GAP_MILLISECONDS - now);
  timer = setTimeout(ask, Math.max(0, wait));
}

async function ask() {
  timer = 0;
  const address = nextAddress();
  if (!address) return;
  isAsking = true;
  askedAt = performance.now();
  try {
    await htmx.ajax("GET", address, { source, target: source, swap: "none" });
    document.dispatchEvent(new CustomEvent("jobsyncd:updated"));
  } finally {
    isAsking = false;
    if (wanted.totals || wanted.rest || wanted.rows.size) schedule();
  }
}

function nextAddress() {
  if (!list()) {
    wanted.rest = false;
    return main().dataset.updates;
  }
  const address = new URL(list().dataset.updates, location);
  for (const id of [...wanted.rows].slice(0, ROWS_A_REQUEST)) {
    wanted.rows.delete(id);
    if (rowOf(id)) address.searchParams.append("row", id);
  }
  if (wanted.totals && performance.now() >= totalsAt + TOTALS_GAP_MILLISECONDS) {
    wanted.totals = false;
    totalsAt = performance.now();
    address.searchParams.set("totals", "true");
  }
  const asksForSomething = address.searchParams.has("row") || address.searchParams.has("totals");
  if (!asksForSomething && wanted.totals) schedule();
  return asksForSomething ? address.pathname + address.search : null;
}

/** The daemon reads the logs of jobs that somebody looks at; whatever it finds comes by the stream. */
function lookAtRunning() {
  if (document.hidden || !hasRows()) return;
  for (const row of document.querySelectorAll(".job[data-status=running]")) {
    const { top, bottom } = row.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight) continue;
    fetch(`/api/cloud/jobs/${encodeURIComponent(row.dataset.job)}/inline-progress`).catch(() => {});
  }
}
