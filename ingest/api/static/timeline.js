// The timeline: incidents by day, week or month, and a stretch of it to brush.

import { h, say } from "./dom.js";
import { SPANS } from "./view.js";
import { QUADS, day, plural } from "./words.js";

const DAY = 86_400_000;
const STACK = ["mc", "vc", "vp", "mp"];
const PAD = { left: 34, right: 10, top: 8, bottom: 18 };
const LEAST = 4; // pixels of a drag below which it is a click

const iso = (time) => new Date(time).toISOString().slice(0, 10);
const midnight = (time) => Math.floor(time / DAY) * DAY;

/** The start of the unit that a time lies in, and of the one after it; a week begins on Monday. */
export function unitStart(time, by) {
  const start = midnight(time);
  if (by === "day") return start;
  if (by === "week") return start - ((new Date(start).getUTCDay() + 6) % 7) * DAY;
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}
export function unitEnd(start, by) {
  if (by === "day") return start + DAY;
  if (by === "week") return start + 7 * DAY;
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** Rows of `/v1/counts?by=UNIT&by=quad` as bars without gaps: `{start, end, total, parts}`. */
export function bars(rows, by, from, to) {
  const found = new Map();
  for (const row of rows) {
    const start = Date.parse(row[by]);
    const bar = found.get(start) ?? { total: 0, parts: {} };
    bar.total += row.count;
    bar.parts[QUADS[row.quad]] = (bar.parts[QUADS[row.quad]] ?? 0) + row.count;
    found.set(start, bar);
  }
  const first = from ?? Math.min(...found.keys(), to - 30 * DAY);
  const all = [];
  for (let start = unitStart(first, by); start < to; start = unitEnd(start, by)) {
    all.push({ start, end: unitEnd(start, by), total: 0, parts: {}, ...found.get(start) });
  }
  return all;
}

export function createTimeline({ root, fetchCounts, onBrush, onSpan }) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const brush = h("div", { class: "brush", hidden: true });
  const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const handle = (edge, label) => h("div", { class: "handle", role: "slider", tabindex: "0", "data-edge": edge, "aria-label": label });
  const ends = [handle("start", "From"), handle("end", "To")];
  const spans = h("div", { class: "spans", role: "group", "aria-label": "How far back" },
    Object.keys(SPANS).map((span) => h("button", { type: "button", "data-span": span, on: { click: () => onSpan(span) } }, { "30d": "30 d", "90d": "90 d", "1y": "1 y", all: "All" }[span])));
  const title = h("p", { class: "timeline-title" });
  const clear = h("button", { type: "button", class: "plain", hidden: true, on: { click: () => set(null, true) } }, "Whole time");
  const plot = h("div", { class: "plot" }, canvas, brush, ends, tip);
  root.append(h("div", { class: "timeline-head" }, title, clear, spans), plot);

  let all = [];
  let by = "day";
  let chosen = null; // [start, end) in milliseconds, always whole bars
  let size = { width: 0, height: 0 };
  let request = null;
  let frame = null;

  const innerWidth = () => size.width - PAD.left - PAD.right;
  const xOf = (number) => PAD.left + (number * innerWidth()) / Math.max(all.length, 1);
  const barAt = (x) => Math.min(Math.max(Math.floor(((x - PAD.left) / innerWidth()) * all.length), 0), all.length - 1);
  const within = () => {
    if (!chosen) return [0, all.length];
    const first = all.findIndex((bar) => bar.end > chosen[0]);
    const past = all.findIndex((bar) => bar.start >= chosen[1]);
    return [first < 0 ? all.length : first, past < 0 ? all.length : past];
  };

  const redraw = () => { frame ??= requestAnimationFrame(draw); };

  function draw() {
    frame = null;
    const { width, height } = size;
    if (!width || !height) return;
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const ratio = window.devicePixelRatio || 1;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const most = Math.max(1, ...all.map(({ total }) => total));
    const base = height - PAD.bottom;
    const tall = base - PAD.top;
    context.font = `10px ${style.fontFamily}`;
    context.fillStyle = colour("muted");
    context.strokeStyle = colour("line");
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      const count = most * share;
      if (!Number.isInteger(count)) continue;
      const y = Math.round(base - share * tall) + 0.5;
      context.beginPath();
      context.moveTo(PAD.left, y);
      context.lineTo(width - PAD.right, y);
      context.stroke();
      context.fillText(count.toLocaleString("en"), PAD.left - 5, y);
    }
    const [first, past] = within();
    all.forEach(({ parts }, number) => {
      const left = xOf(number);
      const wide = Math.max(xOf(number + 1) - left - (innerWidth() / all.length > 4 ? 1 : 0), 1);
      context.globalAlpha = number >= first && number < past ? 1 : 0.28;
      let y = base;
      for (const quad of STACK) {
        const high = ((parts[quad] ?? 0) / most) * tall;
        context.fillStyle = colour(`c-${quad}`);
        context.fillRect(left, y - high, wide, high);
        y -= high;
      }
    });
    context.globalAlpha = 1;
    context.fillStyle = colour("muted");
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    const step = Math.max(1, Math.ceil(all.length / Math.max(Math.floor(innerWidth() / 90), 1)));
    for (let number = 0; number < all.length; number += step) {
      const x = xOf(number);
      const date = new Date(all[number].start);
      const label = date.toLocaleDateString("en-GB", by === "month" ? { month: "short", year: "numeric", timeZone: "UTC" } : { day: "numeric", month: "short", timeZone: "UTC" });
      if (x + 46 < width) context.fillText(label, x, height - 4);
    }
    place();
  }

  function place() {
    const [first, past] = within();
    const [left, right] = [xOf(first), xOf(past)];
    brush.hidden = !chosen;
    brush.style.left = `${left}px`;
    brush.style.width = `${Math.max(right - left, 0)}px`;
    ends[0].style.left = `${left}px`;
    ends[1].style.left = `${right}px`;
    clear.hidden = !chosen;
    if (!all.length) return;
    const days = [all[Math.min(first, all.length - 1)].start, all[Math.max(past - 1, 0)].end - DAY];
    ends.forEach((end, number) => {
      end.setAttribute("aria-valuemin", "0");
      end.setAttribute("aria-valuemax", String(all.length));
      end.setAttribute("aria-valuenow", String(number ? past : first));
      end.setAttribute("aria-valuetext", day(days[number]));
    });
    const sum = all.slice(first, past).reduce((total, bar) => total + bar.total, 0);
    title.textContent = `${plural(sum, "incident")} changed last ${day(days[0])} – ${day(days[1])}, by ${by}`;
  }

  function set(range, tell) {
    chosen = range;
    redraw();
    if (tell) onBrush(range ? iso(range[0]) : "", range ? iso(range[1]) : "");
  }

  /** The stretch from one bar to another, whichever comes first. */
  const stretch = (one, other) => [all[Math.min(one, other)].start, all[Math.max(one, other)].end];

  let drag = null;
  plot.addEventListener("pointerdown", (event) => {
    if (!all.length || event.button) return;
    const x = event.clientX - plot.getBoundingClientRect().left;
    const edge = event.target.dataset?.edge;
    const [first, past] = within();
    drag = { x, from: edge === "start" ? Math.max(past - 1, 0) : edge === "end" ? Math.min(first, all.length - 1) : barAt(x), edge, moved: false };
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointermove", (event) => {
    const x = event.clientX - plot.getBoundingClientRect().left;
    if (drag) {
      drag.moved ||= Math.abs(x - drag.x) >= LEAST;
      if (drag.moved) set(stretch(drag.from, barAt(x)), false);
      return;
    }
    const bar = all[barAt(x)];
    tip.hidden = !bar || event.pointerType !== "mouse";
    if (tip.hidden) return;
    tip.textContent = `${day(bar.start)}${by === "day" ? "" : ` (${by})`}: ${plural(bar.total, "incident")}`;
    tip.style.left = `${Math.min(Math.max(x - tip.offsetWidth / 2, 2), size.width - tip.offsetWidth - 2)}px`;
  });
  plot.addEventListener("pointerleave", () => { tip.hidden = true; });
  plot.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const { edge, moved, from } = drag;
    drag = null;
    const x = event.clientX - plot.getBoundingClientRect().left;
    if (moved) set(stretch(from, barAt(x)), true);
    else if (!edge) set(stretch(from, from), true);
  });
  plot.addEventListener("pointercancel", () => { drag = null; });

  for (const [number, end] of ends.entries()) {
    end.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && chosen) { event.stopPropagation(); set(null, true); return; }
      const by_ = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -7, PageUp: 7, Home: -Infinity, End: Infinity }[event.key];
      if (!by_ || !all.length) return;
      event.preventDefault();
      event.stopPropagation();
      const edges = within();
      const moved = edges[number] + by_ * (event.shiftKey ? 7 : 1);
      edges[number] = number ? Math.min(Math.max(moved, edges[0] + 1), all.length) : Math.max(Math.min(moved, edges[1] - 1), 0);
      const whole = edges[0] === 0 && edges[1] === all.length;
      set(whole ? null : stretch(edges[0], edges[1] - 1), true);
      say(end.getAttribute("aria-valuetext"));
    });
  }

  new ResizeObserver(() => {
    size = { width: plot.clientWidth, height: plot.clientHeight };
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(size.width * ratio);
    canvas.height = Math.round(size.height * ratio);
    draw();
  }).observe(plot);

  return {
    redraw,
    focus: () => ends[0].focus(),

    /** Show so much of the past, up to `until`, and what is brushed of it. */
    async show(span, until, since, before) {
      request?.abort();
      request = new AbortController();
      const { signal } = request;
      const { days, by: unit } = SPANS[span];
      for (const button of spans.children) button.setAttribute("aria-pressed", String(button.dataset.span === span));
      const to = midnight(until) + DAY;
      let from = days === null ? null : to - days * DAY;
      // What is brushed must be seen, however long ago it was.
      if (from !== null && since && Date.parse(since) < from) from = Date.parse(since);
      try {
        const rows = await fetchCounts(unit, from === null ? null : iso(unitStart(from, unit)), signal);
        by = unit;
        all = bars(rows, unit, from, to);
        chosen = since || before ? [since ? Date.parse(since) : all[0].start, before ? Date.parse(before) : all.at(-1).end] : null;
        root.dataset.bars = String(all.length);
        redraw();
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
  };
}
