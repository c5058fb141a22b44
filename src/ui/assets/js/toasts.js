// Short messages at the edge of the page, which screen readers are told too.

const STAY_MILLISECONDS = 8000;

/** Tells that something was done. What was said of its failing before is over. */
export function toast(title, detail = "", subject = "") {
  settle(subject);
  const shown = show("toasts", title, detail);
  const leave = () => setTimeout(() => shown.matches(":hover, :focus-within") ? leave() : shown.remove(), STAY_MILLISECONDS);
  leave();
}

/** Tells that something failed, and stays until it is closed, tried again or done after all. */
export function alarm(title, detail, subject, retry) {
  settle(subject);
  const shown = show("alerts", title, detail);
  shown.dataset.subject = subject;
  shown.classList.add("error");
  if (retry) shown.prepend(button("Retry", () => {
    shown.remove();
    retry();
  }));
  // The words come before what can be done about them.
  shown.prepend(shown.querySelector("div"));
}

function settle(subject) {
  for (const said of document.querySelectorAll("#alerts .toast")) {
    if (subject && said.dataset.subject === subject) said.remove();
  }
}

function show(region, title, detail) {
  const place = document.getElementById(region);
  const shown = document.createElement("div");
  shown.className = "toast";
  const words = document.createElement("div");
  const first = document.createElement("b");
  first.textContent = title;
  words.append(first);
  if (detail) {
    const more = document.createElement("small");
    more.textContent = detail;
    words.append(more);
  }
  shown.append(words, button("Close", () => shown.remove()));
  place.append(shown);
  return shown;
}

function button(title, onClick) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = title;
  made.addEventListener("click", onClick);
  return made;
}
