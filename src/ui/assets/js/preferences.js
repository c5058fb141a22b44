// What this browser remembers of its reader.

const SHORTCUTS = "jobsyncd.shortcuts";

export function shortcutsAreOn() {
  return localStorage.getItem(SHORTCUTS) !== "off";
}

export function initPreferences() {
  const boxes = () => document.querySelectorAll("[data-preference=shortcuts]");
  const show = () => {
    for (const box of boxes()) box.checked = shortcutsAreOn();
  };
  show();
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-preference=shortcuts]")) return;
    if (event.target.checked) localStorage.removeItem(SHORTCUTS);
    else localStorage.setItem(SHORTCUTS, "off");
    show();
  });
}
