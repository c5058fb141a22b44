// The door of a daemon that wants to know who comes in.

/** Leaves for the door, to come back to this page. */
export function logIn() {
  location.assign(`/login?${new URLSearchParams({ next: location.pathname + location.search })}`);
}
