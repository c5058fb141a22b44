// The log of a job: as many lines as fit the window are drawn, and blocks of lines are fetched as they come
// into sight, so that a million lines scroll like a hundred.

import { LogSearch } from "./log-search.js";

const LINES_A_BLOCK = 1000;
const BLOCKS_KEPT = 40;
const LINES_AROUND = 12;
const POLL_MILLISECONDS = 5000;
/** However often the job gets on, its log is asked for no more often than this. */
const POLL_GAP_MILLISECONDS = 2000;
const REST_MILLISECONDS = 80;
/** Browsers draw nothing that is much higher than this. */
const HEIGHT_MAX = 8_000_000;
/** Longer lines are cut where they are shown; the download has them whole. */
const CHARS_SHOWN = 4000;

const whole = new Intl.NumberFormat("en");

export function initLog() {
  const section = document.getElementById("logs");
  const id = document.getElementById("main")?.dataset.job;
  if (section && id) new LogView(section, id);
}

class LogView {
  constructor(section, id) {
    this.part = (name) => section.querySelector(`[data-part=${name}]`);
    this.view = this.part("view");
    this.lines = this.part("lines");
    this.id = id;
    this.url = `/api/cloud/jobs/${encodeURIComponent(id)}/logs`;
    this.total = 0;
    this.blocks = new Map();
    this.fetching = new Set();
    this.missing = new Set();
    this.target = 0;
    this.search = new LogSearch((parameters) => this.ask(parameters));
    this.listen(section);
    this.open();
  }

  listen(section) {
    this.view.addEventListener("scroll", () => this.onScroll(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.view);
    this.part("wrap").addEventListener("change", (event) => {
      this.view.classList.toggle("wrap", event.target.checked);
      this.draw();
    });
    this.part("follow").addEventListener("change", () => this.follow());
    this.part("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.find(1);
    });
    this.part("search").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.shiftKey) return;
      event.preventDefault();
      this.find(-1);
    });
    this.part("search").elements.q.addEventListener("input", () => {
      clearTimeout(this.searchTimer);
      this.searchTimer = setTimeout(() => this.find(0), 200);
    });
    this.part("previous").addEventListener("click", () => this.find(-1));
    this.lines.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link) return;
      event.preventDefault();
      history.replaceState(history.state, "", link.hash);
      this.target = Number(link.hash.slice(2));
      this.draw();
    });
    addEventListener("hashchange", () => this.openTarget());
    document.addEventListener("jobsyncd:event", ({ detail }) => {
      if (detail.job_id === this.id && detail.type !== "job_deleted") this.poll();
    });
    document.addEventListener("jobsyncd:refresh", () => this.poll());
    setInterval(() => document.hidden || !this.isRunning() || this.poll(), POLL_MILLISECONDS);
  }

  isRunning() {
    return document.querySelector("#job-head .status-running") !== null;
  }

  async open() {
    await this.fetchBlock(0);
    if (this.openTarget()) return;
    this.follow();
    if (location.hash === "#logs") {
      this.view.focus({ preventScroll: true });
      this.view.scrollIntoView({ block: "center" });
    }
  }

  /** Goes to the line that the address names. */
  openTarget() {
    const number = /^#L(\d+)$/.exec(location.hash)?.[1];
    if (!number) return false;
    this.target = Number(number);
    if (this.target > this.total) {
      this.part("state").textContent = `There is no line ${whole.format(this.target)}: the log has ${whole.format(this.total)}.`;
      return false;
    }
    this.part("follow").checked = false;
    this.view.scrollIntoView({ block: "nearest" });
    this.goTo(this.target);
    return true;
  }

  // What is fetched.

  async ask(parameters) {
    const answer = await fetch(`${this.url}?${new URLSearchParams(parameters)}`).catch(() => null);
    if (answer === null) throw new Error("The daemon does not answer.");
    const json = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(json.detail ?? `The daemon answered ${answer.status}.`);
    return json;
  }

  async fetchBlock(block) {
    if (this.fetching.has(block)) {
      this.isOutdated = true;
      return;
    }
    this.fetching.add(block);
    try {
      const found = await this.ask({ after: block * LINES_A_BLOCK, limit: LINES_A_BLOCK });
      this.take(block, found);
    } catch (error) {
      this.part("state").textContent = error.message;
    } finally {
      this.fetching.delete(block);
    }
    // What was printed while the answer was on its way is not in it.
    if (this.isOutdated && this.fetching.size === 0) {
      this.isOutdated = false;
      this.poll();
    }
  }

  take(block, { lines, total_lines: total }) {
    const known = this.blocks.get(block);
    const isOther = known?.length > 0 && lines.length > 0 && known[0].text !== lines[0].text && lines.length > 1;
    if (total < this.total || isOther) this.blocks.clear();
    const isNew = total !== this.total;
    this.total = total;
    this.blocks.delete(block);
    this.blocks.set(block, lines);
    // Others that were not full when they were fetched are by now.
    for (const [other, known] of this.blocks) {
      const full = Math.min(LINES_A_BLOCK, total - other * LINES_A_BLOCK);
      if (other !== block && known.length < full) this.blocks.delete(other);
    }
    if (this.blocks.size > BLOCKS_KEPT) this.blocks.delete(this.blocks.keys().next().value);
    this.part("state").textContent = total === 0 ? (this.isRunning() ? "Nothing was printed yet." : "Nothing was printed.") : `${whole.format(total)} lines`;
    if (isNew) this.resize();
    this.draw();
    if (isNew) this.follow();
    if (isNew && this.search.text) this.recount();
  }

  /** Asks for what was printed since. The last line may have changed, too. */
  poll() {
    this.pollTimer ??= setTimeout(() => {
      this.pollTimer = null;
      this.polledAt = performance.now();
      this.fetchBlock(Math.floor(Math.max(0, this.total - 1) / LINES_A_BLOCK));
    }, Math.max(0, (this.polledAt ?? -Infinity) + POLL_GAP_MILLISECONDS - performance.now()));
  }

  // What is drawn.

  row() {
    return parseFloat(getComputedStyle(this.view).lineHeight);
  }

  resize() {
    const height = Math.min(this.total * this.row(), HEIGHT_MAX);
    this.part("size").style.height = `${height}px`;
  }

  /** The line at the top of the view, as a fraction. The end of the scroll bar is the end of the log. */
  topLine() {
    const { scrollTop, scrollHeight, clientHeight } = this.view;
    const room = scrollHeight - clientHeight;
    return room > 0 ? (Math.min(scrollTop, room) / room) * this.topLineMax() : 0;
  }

  topLineMax() {
    return Math.max(0, this.total - this.view.clientHeight / this.row());
  }

  goTo(number) {
    const { scrollHeight, clientHeight } = this.view;
    const wanted = number - 1 - clientHeight / this.row() / 3;
    const share = this.topLineMax() > 0 ? wanted / this.topLineMax() : 0;
    this.view.scrollTop = Math.max(0, share) * (scrollHeight - clientHeight);
    this.draw();
  }

  isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.view;
    return scrollTop >= scrollHeight - clientHeight - 2;
  }

  follow() {
    if (!this.part("follow").checked) return;
    this.view.scrollTop = this.view.scrollHeight;
    this.draw();
  }

  onScroll() {
    // Who scrolls up wants to read there.
    const follow = this.part("follow");
    if (follow.checked !== this.isAtEnd()) follow.checked = this.isAtEnd();
    this.drawing ??= requestAnimationFrame(() => {
      this.drawing = null;
      this.draw();
    });
  }

  draw() {
    if (this.view.clientHeight === 0) return;
    const top = this.topLine();
    const visible = Math.ceil(this.view.clientHeight / this.row()) + 1;
    const first = Math.floor(top);
    const from = Math.max(0, first - LINES_AROUND);
    const to = Math.min(this.total, first + visible + LINES_AROUND);
    const drawn = [];
    this.missing.clear();
    for (let index = from; index < to; index += 1) drawn.push(this.line(index));
    this.put(drawn);
    this.place(drawn[first - from], top - first);
  }

  /** Lines that stay are not touched: somebody may have selected their text. */
  put(drawn) {
    const wanted = new Set(drawn);
    for (const row of [...this.lines.children]) {
      if (!wanted.has(row)) row.remove();
    }
    let next = this.lines.firstElementChild;
    for (const row of drawn) {
      if (row === next) next = next.nextElementSibling;
      else this.lines.insertBefore(row, next);
    }
  }

  /** Puts the first visible line where the scroll bar is, whatever the heights of the lines. */
  place(line, fraction) {
    const { scrollTop, clientHeight } = this.view;
    let offset = line ? scrollTop - line.offsetTop - fraction * line.offsetHeight : 0;
    const room = clientHeight - this.lines.offsetHeight;
    if (room > 0) offset = 0;
    else if (this.isAtEnd()) offset = scrollTop + room;
    this.lines.style.transform = `translateY(${Math.round(offset)}px)`;
  }

  line(index) {
    const number = index + 1;
    const block = Math.floor(index / LINES_A_BLOCK);
    const lines = this.blocks.get(block);
    if (!lines) this.miss(block);
    const text = lines?.[index % LINES_A_BLOCK]?.text ?? (lines ? "" : "…");
    const row = this.known(number, `${this.search.text}\n${text}`) ?? this.newLine(number, text);
    row.classList.toggle("is-target", number === this.target);
    row.classList.toggle("is-current", number === this.search.current());
    return row;
  }

  /** Fetches what is in sight once the scroll bar rests: each block costs the daemon a look at the whole log. */
  miss(block) {
    if (this.fetching.has(block)) return;
    this.missing.add(block);
    clearTimeout(this.missTimer);
    this.missTimer = setTimeout(() => {
      for (const missed of this.missing) this.fetchBlock(missed);
      this.missing.clear();
    }, REST_MILLISECONDS);
  }

  /** The line as it is drawn already, if it is still the same. */
  known(number, look) {
    const row = this.lines.querySelector(`[data-line="${number}"]`);
    return row?.look === look ? row : null;
  }

  newLine(number, text) {
    const row = document.createElement("div");
    row.dataset.line = number;
    row.look = `${this.search.text}\n${text}`;
    const link = document.createElement("a");
    link.href = `#L${number}`;
    link.textContent = number;
    // A hundred numbers are not a hundred stops for the Tab key.
    link.tabIndex = -1;
    const place = document.createElement("span");
    this.write(place, text);
    row.append(link, place);
    return row;
  }

  /** A text as text, with what was searched for marked in it. */
  write(place, text) {
    const shown = text.length > CHARS_SHOWN ? `${text.slice(0, CHARS_SHOWN)}… (${whole.format(text.length)} characters)` : text;
    const wanted = this.search.text.toLowerCase();
    const lower = shown.toLowerCase();
    // Letters that change their number when made small would move the marks.
    if (!wanted || lower.length !== shown.length) {
      place.textContent = shown;
      return;
    }
    let end = 0;
    for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, end)) {
      const mark = document.createElement("mark");
      mark.textContent = shown.slice(at, at + wanted.length);
      place.append(shown.slice(end, at), mark);
      end = at + wanted.length;
    }
    place.append(shown.slice(end));
  }

  // What is looked for.

  async find(step) {
    await this.search.find(this.part("search").elements.q, step);
    this.part("matches").textContent = this.search.words();
    if (this.search.current() === null) {
      this.draw();
      return;
    }
    this.part("follow").checked = false;
    this.goTo(this.search.current());
  }

  async recount() {
    await this.search.recount();
    this.part("matches").textContent = this.search.words();
  }
}
