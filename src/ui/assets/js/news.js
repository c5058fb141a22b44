// What is new waits until the reader wants it: nothing moves under the pointer.

import { reloadList } from "./live.js";
import { hasRows, rowOf, rows } from "./rows.js";

export function initNews() {
  document.addEventListener("jobsyncd:updated", announceJobs);
  document.addEventListener("jobsyncd:event", (event) => countEvent(event.detail));
}

/** Jobs that the list would show, and does not yet. */
function announceJobs() {
  const place = document.getElementById("new-jobs");
  const listed = document.getElementById("listed");
  // It may still be that of the list before.
  if (!place || listed?.dataset.for !== document.getElementById("jobs").dataset.updates) return;
  const fresh = JSON.parse(listed.textContent).filter((id) => !rowOf(id));
  // Where there is no row, none can be moved.
  if (fresh.length > 0 && !hasRows()) {
    reloadList();
    return;
  }
  offer(place, fresh.length, async () => {
    await reloadList();
    rows()[0]?.querySelector("a").focus();
  });
}

let waitingEvents = 0;

/** Events that the page of activity would show, and does not yet. */
function countEvent(event) {
  const view = document.getElementById("activity");
  if (!view || event.seq === undefined) return;
  const kinds = view.dataset.kinds.split(" ").filter(Boolean);
  if (kinds.length && !kinds.includes(event.type)) return;
  if (view.dataset.job && view.dataset.job !== event.job_id) return;
  waitingEvents += 1;
  const newest = view.querySelector(".chips [aria-current]").href;
  offer(document.getElementById("new-events"), waitingEvents, () => location.assign(newest));
}

function offer(place, count, accept) {
  if (count === 0) {
    place.replaceChildren();
    return;
  }
  let button = place.querySelector("button");
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    place.replaceChildren(button);
  }
  const text = `${count} new`;
  if (button.textContent !== text) button.textContent = text;
  button.onclick = () => {
    place.replaceChildren();
    accept();
  };
}
