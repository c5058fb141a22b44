// What can be done goes through the API, like everybody else's calls.

import { logIn } from "./door.js";
import { reloadList } from "./live.js";
import { alarm, toast } from "./toasts.js";

export function initActions() {
  document.addEventListener("htmx:after:swap", showDefaults);
  // A filter or a page of the list that could not be fetched.
  document.addEventListener("htmx:error", (event) => {
    if (event.target.closest?.("#jobs")) alarm("That could not be shown", "The daemon does not answer.", "list");
  });
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-method], [data-sync], [data-copy], [data-open], [data-test]");
    if (!target) return;
    if (target.dataset.method) act(target);
    else if (target.dataset.sync) sync(target);
    else if (target.dataset.copy) copyAsCurl(target.dataset.copy);
    else if (target.dataset.open) document.getElementById(target.dataset.open).showModal();
    else if ("test" in target.dataset) testWebhook(target);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-api]")) return;
    event.preventDefault();
    submit(event.target);
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit=change]");
    if (form) submit(form);
    else if (event.target.matches("select[data-api]")) choose(event.target);
  });
}

/** Calls the API. Answers its JSON, or throws an error with its words. */
async function call(method, url, body) {
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The daemon does not answer.");
  }
  if (answer.status === 401) logIn();
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(wordsOf(json) ?? `The daemon answered ${answer.status}.`);
  return json;
}

/** What an error says. The name that a field has in the API says nothing to who sees its label. */
function wordsOf({ detail, details }) {
  const prefix = `${details?.field}: `;
  return detail?.startsWith(prefix) ? detail.slice(prefix.length) : detail;
}

/** Runs `work` with a control that shows it, and cannot be used meanwhile. */
async function busy(control, work) {
  const hadFocus = document.activeElement === control;
  control.setAttribute("aria-busy", "true");
  control.disabled = true;
  try {
    return await work();
  } finally {
    // It may have been drawn anew meanwhile.
    const now = (control.id && document.getElementById(control.id)) || control;
    for (const drawn of [control, now]) {
      drawn.removeAttribute("aria-busy");
      drawn.disabled = false;
    }
    if (hadFocus) giveFocus(now, control.closest("section[id], div[id], form"));
  }
}

/** Puts the focus back where it was or, where that is no more, close to it. */
function giveFocus(control, neighbourhood) {
  const isLost = () => document.activeElement === document.body || document.activeElement === null;
  if (isLost()) control.focus();
  document.addEventListener("jobsyncd:updated", () => {
    const close = document.getElementById(neighbourhood?.id)?.querySelector("button, a");
    if (isLost()) (close ?? document.getElementById("main")).focus();
  }, { once: true });
}

/** A button that calls the API, after a question where one is asked. */
async function act(control, wish = { ...control.dataset }) {
  // The control may stand for another job by the time that this is tried again.
  const { method, url, done, then, confirm } = wish;
  if (confirm && !(await isSure(wish))) return;
  // What is done may take away what this page is about.
  if (then) document.documentElement.dataset.leaving = "true";
  try {
    const answer = await busy(control, () => call(method, url));
    if (then) {
      location.assign(then);
      return;
    }
    toast(done, answer.message ?? "", url);
    document.dispatchEvent(new CustomEvent("jobsyncd:refresh"));
  } catch (error) {
    delete document.documentElement.dataset.leaving;
    alarm("That did not work", error.message, url, () => act(control, wish));
  }
}

function isSure({ confirm, confirmText, confirmYes }) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("h2").textContent = confirm;
  document.getElementById("confirm-text").textContent = confirmText;
  dialog.querySelector("[data-part=yes]").textContent = confirmYes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Discovers jobs (page, "Web UI Sync Button"). */
async function sync(control) {
  if (control.disabled) return;
  const { sync: provider, title } = control.dataset;
  try {
    const found = await busy(control, () => call("POST", "/api/cloud/jobs/sync", { provider }));
    const jobs = found.synced === 1 ? "job" : "jobs";
    const calls = found.provider_calls === 1 ? "call" : "calls";
    toast(
      `Discovered ${found.synced} ${jobs} from ${title}`,
      `${found.updated} updated, ${found.unchanged} unchanged, in ${found.provider_calls} ${calls}`,
      `sync ${provider}`,
    );
    await reloadList();
  } catch (error) {
    const again = () => sync(document.getElementById(control.id) ?? control);
    alarm(`${title} could not be synced`, error.message, `sync ${provider}`, again);
  }
}

function fieldsOf(form) {
  const fields = {};
  for (const field of form.elements) {
    if (!field.name || (field.type === "radio" && !field.checked)) continue;
    if (field.type === "checkbox") fields[field.name] = field.checked;
    else if (field.value === "" && field.dataset.empty === "null") fields[field.name] = null;
    else if (field.type === "number") fields[field.name] = Number(field.value);
    else if ("json" in field.dataset) fields[field.name] = JSON.parse(field.value);
    else fields[field.name] = field.value;
  }
  // A limit that is switched off keeps the amount that it had.
  if (fields.cost_limit_enabled === false) delete fields.cost_limit_amount;
  return fields;
}

async function submit(form) {
  const [method, url] = form.dataset.api.split(" ");
  const control = form.querySelector("button:not([type=button])") ?? form;
  try {
    await busy(control, () => call(method, url, fieldsOf(form)));
    toast(form.dataset.done, "", url);
    await freshen();
  } catch (error) {
    alarm("That was not saved", error.message, url);
    if (form.dataset.submit === "change") form.reset();
  }
}

async function choose(select) {
  const [method, url] = select.dataset.api.split(" ");
  try {
    await busy(select, () => call(method, url, { [select.dataset.field]: select.value }));
    toast(select.dataset.done, "", url);
  } catch (error) {
    alarm("That was not changed", error.message, url);
    showDefaults();
  }
  document.dispatchEvent(new CustomEvent("jobsyncd:refresh"));
}

/** Choices as the page was last drawn: what was touched before would stay as it was left. */
function showDefaults() {
  for (const select of document.querySelectorAll("select[data-api]")) {
    if (select === document.activeElement || select.disabled) continue;
    for (const option of select.options) option.selected = option.defaultSelected;
  }
}

/** Shows the settings as they are now: one can follow from another. */
async function freshen() {
  if (document.documentElement.dataset.view !== "settings") return;
  await htmx.ajax("GET", location.pathname, {
    source: document.getElementById("reloads"),
    target: "#main",
    select: "#main",
    swap: "outerMorph show:none",
  });
  for (const form of document.querySelectorAll("form[data-api]")) form.reset();
}

async function testWebhook(control) {
  const form = control.form;
  const output = form.querySelector("output");
  const url = form.elements.webhook_url.value;
  output.textContent = "Testing…";
  try {
    const result = await busy(control, () => call("POST", "/api/webhooks/test", { webhook_url: url, provider: control.dataset.test, timeout: 10 }));
    const time = `${Math.round(result.latency_ms)} ms`;
    output.textContent = result.success
      ? `It reached this daemon within ${time}.`
      : `It does not lead here: ${result.error}.`;
  } catch (error) {
    output.textContent = error.message;
  }
}

/** Puts the call that shows a job into the clipboard. */
async function copyAsCurl(path) {
  const quoted = `'${`${location.origin}${path}`.replaceAll("'", "'\\''")}'`;
  const hasKeys = document.querySelector("form[action='/logout']") !== null;
  const command = hasKeys ? `curl -H "X-API-Key: $JOBSYNCD_API_KEY" ${quoted}` : `curl ${quoted}`;
  try {
    await navigator.clipboard.writeText(command);
    toast("Copied", command);
  } catch {
    const dialog = document.getElementById("copy");
    const text = dialog.querySelector("textarea");
    text.value = command;
    dialog.showModal();
    text.select();
  }
}
