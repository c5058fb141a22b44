// Instants in the reader's zone, with UTC where the pointer rests; and how long ago they were, counted on.

const STEP_MILLISECONDS = 1000;
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function initTimes() {
  show();
  setInterval(() => document.hidden || show(), STEP_MILLISECONDS);
  document.addEventListener("htmx:after:swap", show);
  document.addEventListener("visibilitychange", () => document.hidden || show());
}

function show() {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[data-time]")) {
    const at = new Date(time.dateTime);
    const text = time.dataset.time === "ago" ? distance((now - at) / 1000) : local.format(at);
    if (time.textContent !== text) time.textContent = text;
  }
}

function distance(seconds) {
  return seconds > -1 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

/** A time span in its largest unit, as the daemon writes it too. */
function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h`;
  return `${Math.floor(whole / 86400)}d`;
}
