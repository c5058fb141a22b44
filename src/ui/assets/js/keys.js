// Single keys as shortcuts. They can be turned off, since who speaks to the computer types words.

import { shortcutsAreOn } from "./preferences.js";
import { rows } from "./rows.js";

export function initKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      escape(event);
      return;
    }
    const isWriting = event.target.closest("input, textarea, select, [contenteditable], dialog");
    if (isWriting || !shortcutsAreOn()) return;
    const action = KEYS[event.key];
    if (action && action() !== false) event.preventDefault();
  });
}

const KEYS = {
  "/": () => focus(document.querySelector("#q, #logs input[type=search]")),
  "?": () => document.getElementById("help").showModal(),
  j: () => move(1),
  k: () => move(-1),
  s: () => click(document.querySelector("[data-sync]")),
  l: openLog,
  c: cancel,
};

function focus(element) {
  if (!element) return false;
  element.focus();
  element.select?.();
}

function click(element) {
  if (!element) return false;
  element.click();
}

/** The job whose row has the focus. */
function currentRow() {
  return document.activeElement?.closest("tr.job");
}

function move(step) {
  const all = rows();
  if (all.length === 0) return false;
  const at = all.indexOf(currentRow());
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
  const link = all[next].querySelector("a");
  link.focus();
  all[next].scrollIntoView({ block: "nearest" });
}

function openLog() {
  const log = document.querySelector("#logs .log");
  if (log) {
    log.scrollIntoView({ block: "nearest" });
    log.focus();
    return;
  }
  const link = currentRow()?.querySelector("a");
  if (!link) return false;
  location.assign(`${link.href}#logs`);
}

function cancel() {
  const own = document.querySelector("[data-shortcut=cancel]");
  if (own) return click(own);
  const row = currentRow();
  if (!row || !("active" in row.dataset)) return false;
  // The row has no button of its own: a question is asked by the one that stands for all.
  const button = document.getElementById("cancel-row");
  button.dataset.url = `/api/cloud/jobs/${encodeURIComponent(row.dataset.job)}/cancel`;
  button.dataset.confirmText = `${row.querySelector("a").textContent} stops where it is. What it has cost so far is charged.`;
  button.click();
}

function escape(event) {
  const field = event.target.closest("input[type=search]");
  if (field) {
    if (field.value) {
      field.value = "";
      field.dispatchEvent(new Event("input", { bubbles: true }));
      event.preventDefault();
    } else {
      field.blur();
    }
  } else if (!event.target.closest("dialog")) {
    document.activeElement?.blur?.();
  }
}
