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
