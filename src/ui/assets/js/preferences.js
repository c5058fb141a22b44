// What this browser remembers of its reader.

const SHORTCUTS = "jobsyncd.shortcuts";

/** Where a browser lets no page remember anything, this page remembers it while it is open. */
const memory = (() => {
  try {
    return window.localStorage;
  } catch {
    const items = new Map();
    return {
      getItem: (key) => items.get(key) ?? null,
      setItem: (key, value) => items.set(key, value),
      removeItem: (key) => items.delete(key),
    };
  }
})();

export function shortcutsAreOn() {
  return memory.getItem(SHORTCUTS) !== "off";
}

export function initPreferences() {
  const boxes = () => document.querySelectorAll("[data-preference=shortcuts]");
  const show = () => {
    for (const box of boxes()) box.checked = shortcutsAreOn();
  };
  show();
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-preference=shortcuts]")) return;
    if (event.target.checked) memory.removeItem(SHORTCUTS);
    else memory.setItem(SHORTCUTS, "off");
    show();
  });
}
