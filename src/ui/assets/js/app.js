// The dashboard's own code. Pages are whole without it; it keeps them true while they are open.

import { initActions } from "./actions.js";
import { initConnection } from "./connection.js";
import { initCurves } from "./curves.js";
import { initKeys } from "./keys.js";
import { initLive } from "./live.js";
import { initLog } from "./log-view.js";
import { initNews } from "./news.js";
import { initPreferences } from "./preferences.js";
import { startStream } from "./stream.js";
import { initTimes } from "./times.js";
import { alarm } from "./toasts.js";

// The content security policy lets nobody turn text into elements but this policy, and only htmx has it,
// for what it gets from the daemon. Scripts are never made of text.
htmx.registerExtension("trusted-html", {
  init(api) {
    if (window.trustedTypes) {
      api.initSecurity(window.trustedTypes.createPolicy("htmx", { createHTML: (text) => text, createScript: () => "" }));
    }
  },
});

// Addresses of views hold what was chosen, and nothing else.
document.addEventListener("htmx:config:request", (event) => {
  const { request } = event.detail.ctx;
  if (request.form?.getAttribute("role") !== "search" || !request.body) return;
  for (const [name, value] of [...request.body]) {
    if (value === "" || (name === "sort" && value === "newest")) request.body.delete(name);
  }
});

// An answer that is no page of this kind must not take the place of one.
document.addEventListener("htmx:before:swap", (event) => {
  const { response } = event.detail.ctx;
  const isDoor = response?.raw.redirected && new URL(response.raw.url).pathname === "/login";
  if (isDoor) location.assign(response.raw.url);
  if (!isDoor && !(response?.status >= 400)) return;
  event.preventDefault();
  if (!isDoor && event.target.closest?.("#jobs")) {
    alarm("That could not be shown", `The daemon answered ${response.status}.`, "list");
  }
});

// Only the list is put back in its place; every other page the browser loads by itself.
document.addEventListener("htmx:before:history:restore", (event) => {
  if (!document.getElementById("jobs")) event.preventDefault();
});

initPreferences();
initTimes();
initConnection();
initActions();
initKeys();
initNews();
initLive();
initCurves();
initLog();
startStream();
