// Says how true the page is: live, catching up, asked for now and then, or of a time that is over.

const TITLES = {
  connecting: "Connecting",
  live: "Live",
  "catching-up": "Catching up",
  polling: "Polling",
  offline: "Offline",
};

export function initConnection() {
  const line = document.getElementById("connection");
  if (!line) return;
  const part = (name) => line.querySelector(`[data-part=${name}]`);
  let lastKnownAt = new Date();
  let name = "connecting";
  const know = () => {
    lastKnownAt = new Date();
  };
  document.addEventListener("jobsyncd:event", know);
  document.addEventListener("jobsyncd:updated", know);
  document.addEventListener("jobsyncd:state", (event) => {
    const was = name;
    name = event.detail.name;
    // Until the connection was lost everything was known.
    if (was === "live" && name === "offline") know();
    line.dataset.state = name;
    part("state").textContent = TITLES[name];
    part("detail").textContent = name === "offline" ? `as of ${lastKnownAt.toLocaleTimeString()}` : event.detail.detail;
  });
}
