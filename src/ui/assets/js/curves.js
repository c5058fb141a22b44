// The curves of a job: loss, learning rate and speed over its steps, with its checkpoints marked.

const REFRESH_MILLISECONDS = 5000;

const CHARTS = [
  { key: "loss", title: "Loss" },
  { key: "learning_rate", title: "Learning rate" },
  { key: "seconds_per_step", title: "Seconds a step" },
];

const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en");
const written = (value) => {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : number.format(value);
};

export function initCurves() {
  const section = document.getElementById("curves");
  if (!section) return;
  const id = document.getElementById("main").dataset.job;
  const charts = CHARTS.map((chart) => new Chart(section.querySelector(".charts"), chart));
  let shown = "";
  let askedAt = -Infinity;
  const load = async () => {
    askedAt = performance.now();
    const mine = askedAt;
    const answer = await fetch(`/api/cloud/jobs/${encodeURIComponent(id)}/series`).catch(() => null);
    if (!answer?.ok) return;
    const text = await answer.text();
    // One that was asked for later is newer.
    if (text === shown || mine !== askedAt) return;
    shown = text;
    const series = JSON.parse(text);
    section.querySelector("[data-part=empty]").hidden = series.step.length > 1;
    for (const chart of charts) chart.show(series);
  };
  load();
  let timer = 0;
  const loadSoon = () => {
    timer ||= setTimeout(() => {
      timer = 0;
      load();
    }, Math.max(0, askedAt + REFRESH_MILLISECONDS - performance.now()));
  };
  document.addEventListener("jobsyncd:event", ({ detail }) => {
    if (detail.job_id !== id || detail.type === "job_deleted") return;
    if (detail.seq === undefined) loadSoon();
    else load();
  });
  document.addEventListener("jobsyncd:refresh", load);
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
    matchMedia(query).addEventListener("change", () => charts.forEach((chart) => chart.redraw()));
  }
}

class Chart {
  constructor(place, { key, title }) {
    this.key = key;
    this.title = title;
    this.place = place;
    this.series = null;
    this.plot = null;
  }

  show(series) {
    this.series = series;
    const values = series[this.key];
    if (series.step.length < 2 || values.every((value) => value === null)) return;
    if (this.plot) this.update(values);
    else this.draw();
    this.describe();
  }

  /** Who has zoomed in stays there. */
  update(values) {
    const { min, max } = this.plot.scales.x;
    const [shown] = this.plot.data;
    const isZoomed = min > shown[0] || max < shown.at(-1);
    this.plot.setData([this.series.step, values], !isZoomed);
    if (isZoomed) this.plot.redraw();
  }

  draw() {
    this.figure ??= this.build();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const options = {
      ...this.size(),
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false } },
      scales: { x: { time: false } },
      axes: [
        { ...axis, size: 28, values: (_, ticks) => ticks.map((tick) => whole.format(tick)) },
        { ...axis, size: 58, values: (_, ticks) => ticks.map(written) },
      ],
      series: [{}, { stroke: colour("--accent"), width: 1.5, spanGaps: true, points: { show: false } }],
      hooks: {
        draw: [(plot) => this.markCheckpoints(plot, colour("--waiting"))],
        setCursor: [(plot) => this.caption(plot.cursor.idx)],
      },
    };
    const data = [this.series.step, this.series[this.key]];
    this.plot = new uPlot(options, data, this.canvas);
  }

  build() {
    const figure = document.createElement("figure");
    const title = document.createElement("h3");
    title.textContent = this.title;
    this.canvas = document.createElement("div");
    this.canvas.setAttribute("role", "img");
    this.words = document.createElement("figcaption");
    figure.append(title, this.canvas, this.words);
    this.place.append(figure);
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(figure);
    return figure;
  }

  size() {
    return { width: Math.max(120, Math.floor(this.figure.clientWidth)), height: 180 };
  }

  redraw() {
    if (!this.plot) return;
    this.plot.destroy();
    this.draw();
  }

  markCheckpoints(plot, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const step of this.series.checkpoints) {
      const x = Math.round(plot.valToPos(step, "x", true)) + 0.5;
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** What the pointer is at or, without one, the last point. */
  caption(index) {
    const { step, checkpoints } = this.series;
    const values = this.series[this.key];
    const at = index ?? values.findLastIndex((value) => value !== null);
    const saved = checkpoints.length;
    const marks = saved ? `; ${saved} ${saved === 1 ? "checkpoint" : "checkpoints"}, dashed` : "";
    this.words.textContent = `${written(values[at])} at step ${whole.format(step[at])}${marks}`;
  }

  /** The same for who cannot see it. */
  describe() {
    const { step, checkpoints } = this.series;
    const known = this.series[this.key].filter((value) => value !== null);
    const saved = checkpoints.length ? `; checkpoints at ${checkpoints.slice(-8).map((at) => whole.format(at)).join(", ")}` : "";
    this.canvas.setAttribute(
      "aria-label",
      `${this.title} from ${written(known[0])} to ${written(known.at(-1))}, ` +
        `steps ${whole.format(step[0])} to ${whole.format(step.at(-1))}${saved}`,
    );
    this.caption(null);
  }
}
