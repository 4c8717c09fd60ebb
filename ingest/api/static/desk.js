// What holds the page together: the view, its parts, the keys, the live stream.

import { createApi } from "./api.js";
import { createDetail } from "./detail.js";
import { h, say } from "./dom.js";
import { createFilters } from "./filters.js";
import { createList } from "./list.js";
import { createMap } from "./map.js";
import { createTimeline } from "./timeline.js";
import { box, filtered, query, readView, writeView } from "./view.js";
import { country, learn, time } from "./words.js";

const PAGE = 50;
const COUNTRIES = 60;
const TICK = 30_000; // milliseconds between two looks at the clock
const CALM = 5000; // milliseconds between two refreshes of map and timeline for what arrives

const byId = (id) => document.getElementById(id);
const view = readView(location.search);
const searchOf = (incident) => writeView({ ...view, incident });

let cursor = null;
let reloads = 0;
let loading = new AbortController();
let following = new AbortController();
let calm = null;
let extending = false;

// --- what the server says

function askKey(refused) {
  const dialog = byId("ask-key");
  const key = byId("key");
  byId("ask-key-why").textContent = refused
    ? "The server does not take that key. It is kept until this tab is closed."
    : "This server wants an API key. It is kept until this tab is closed.";
  key.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => resolve(key.value.trim()), { once: true });
  });
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

const api = createApi({ askKey, waiting: (why) => notice(`Waiting for the server: ${why}`) });

/** Do something that asks the server; what goes wrong is shown, and does not stop the page. */
async function guarded(action) {
  try {
    const answer = await action();
    notice("");
    return answer;
  } catch (error) {
    if (error?.name !== "AbortError") notice(error instanceof TypeError ? "The server cannot be reached." : error.message);
    return null;
  }
}

// --- the parts

const list = createList({ root: byId("list"), searchOf, onOpen: (incident) => open(incident), onMore: extend });
const detail = createDetail({ root: byId("detail"), api, searchOf, onClose: close, onOpen: (incident) => open(incident) });
const filters = createFilters({
  root: byId("filters"), chips: byId("chips"), search: byId("search"), filters: view.filters, onChange: (name) => changed(name),
});
const map = createMap({
  root: byId("map"),
  onMove(place) { view.map = place; keep(); list.relink(); },
  onBox(area) { view.filters.bbox = area.join(","); changed("bbox"); },
  onOpen: (incident) => open(incident),
  fetchPoints(zoom, inView, signal) {
    const asked = query(view.filters, "text", "bbox");
    asked.set("zoom", String(zoom));
    if (inView) asked.set("bbox", inView);
    return api.get("map", asked, signal);
  },
});
const timeline = createTimeline({
  root: byId("timeline"),
  async fetchCounts(by, since, signal) {
    const asked = query(view.filters, "text", "since", "until");
    asked.append("by", by);
    asked.append("by", "quad");
    if (since) asked.set("since", since);
    return (await api.get("counts", asked, signal)).rows;
  },
  onBrush(since, until) { view.filters.since = since; view.filters.until = until; changed("since"); },
  onSpan(span) { view.span = span; keep(); showTimeline(); },
});

const until = () => (view.filters.as_of ? Date.parse(view.filters.as_of) : Date.now());
const showTimeline = () => guarded(() => timeline.show(view.span, until(), view.filters.since, view.filters.until));
const marks = () => map.mark(view.filters.bbox ? box(view.filters.bbox) : null, detail.place);

// --- the view and the address

function keep(push = false) {
  const search = writeView(view);
  if (search === location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", `/${search}`);
}

function changed(name) {
  keep(true);
  filters.draw();
  reload(name === "since" || name === "until" ? "time" : "all");
}

async function reload(what = "all") {
  follow();
  marks();
  const mine = ++reloads;
  const busy = byId("rows");
  busy.setAttribute("aria-busy", "true");
  await Promise.all([
    loadList(), guarded(countTypes), guarded(countCountries), guarded(() => map.refresh()), what === "all" || !view.filters.since ? showTimeline() : null,
  ]);
  // An earlier one that ends while this goes on says nothing of the list.
  if (mine === reloads) busy.removeAttribute("aria-busy");
}

async function loadList() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const answer = await guarded(() => api.get("incidents", paged(), signal));
  if (!answer) return;
  cursor = answer.next;
  list.replace(answer.items, Boolean(cursor), filtered(view.filters) ? "No incident passes these filters." : "No incidents yet.");
  list.mark(view.incident);
}

function paged(from = null) {
  const asked = query(view.filters);
  asked.set("limit", String(PAGE));
  if (from) asked.set("cursor", from);
  return asked;
}

async function extend() {
  if (!cursor || extending) return;
  extending = true;
  const { signal } = loading;
  const answer = await guarded(() => api.get("incidents", paged(cursor), signal));
  extending = false;
  if (!answer || signal.aborted) return;
  cursor = answer.next;
  list.add(answer.items, Boolean(cursor));
}

async function takeMeta() {
  const meta = await api.get("meta");
  learn(meta);
  filters.learn(meta);
}

async function countTypes() {
  const asked = query(view.filters, "type", "text");
  asked.append("by", "type");
  const { rows } = await api.get("counts", asked);
  filters.count(rows);
  const chosen = view.filters.type;
  const sum = rows.filter(({ type }) => !chosen.length || chosen.includes(type)).reduce((total, { count }) => total + count, 0);
  byId("total").textContent = view.filters.text ? "map, time and numbers: whatever the words" : `${sum.toLocaleString("en")}`;
}

async function countCountries() {
  const asked = query(view.filters, "country", "text");
  asked.append("by", "country");
  const { rows } = await api.get("counts", asked);
  const [most] = rows;
  byId("countries").hidden = !most;
  byId("countries").querySelector("ol").replaceChildren(...rows.slice(0, COUNTRIES).map(({ country: code, count }) => {
    const share = h("span", { class: "share", "aria-hidden": "true" });
    share.style.width = `${(100 * count) / most.count}%`;
    const chosen = view.filters.country.includes(code);
    return h("li", {}, h("button", { type: "button", "aria-pressed": String(chosen), on: { click: () => {
      view.filters.country = chosen ? view.filters.country.filter((one) => one !== code) : [...view.filters.country, code];
      changed("country");
    } } }, h("span", { class: "name" }, country(code)), h("span", { class: "count" }, count.toLocaleString("en")), share));
  }));
}

async function open(incident, { push = true, focus = true } = {}) {
  view.incident = incident;
  if (push) keep(true);
  list.mark(incident);
  document.body.classList.add("reading");
  await detail.open(incident, view.filters.as_of, focus);
  marks();
}

function close() {
  const was = view.incident;
  view.incident = null;
  keep(true);
  detail.close();
  document.body.classList.remove("reading");
  list.mark(null);
  list.focus(was);
  marks();
}

addEventListener("popstate", () => {
  const before = writeView({ ...view, incident: null, map: null });
  const next = readView(location.search);
  Object.assign(view.filters, next.filters);
  Object.assign(view, { span: next.span, map: next.map });
  filters.draw();
  map.show(next.map);
  if (writeView({ ...view, incident: null, map: null }) !== before) reload();
  else guarded(() => map.refresh());
  if (next.incident && next.incident !== view.incident) open(next.incident, { push: false, focus: false });
  else if (!next.incident && view.incident) { view.incident = null; detail.close(); document.body.classList.remove("reading"); list.mark(null); }
});

// --- live

function state(name) {
  byId("live").dataset.state = name;
  byId("live-text").textContent = {
    live: "live", lost: "connecting again", waiting: "connecting", refused: "not live", past: `as known ${view.filters.as_of && time(view.filters.as_of)}`,
  }[name];
}

function follow() {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  // What was known then does not change, and what is brushed may lie in the past.
  if (view.filters.as_of) { state("past"); return; }
  state("waiting");
  let told = null;
  api.follow(query(view.filters), {
    signal,
    onState: (name) => { if (!signal.aborted) state(name); },
    onRecord(record) {
      if (signal.aborted) return;
      detail.arrive(record);
      const text = list.arrive(record);
      clearTimeout(told);
      if (text) told = setTimeout(() => say(`Incidents: ${text}`), 500);
      calm ??= setTimeout(refresh, CALM);
    },
  });
}

/** What has arrived, in map, timeline and numbers; they move nothing that one reads. */
function refresh() {
  calm = null;
  guarded(takeMeta);
  guarded(() => map.refresh());
  showTimeline();
  guarded(countTypes);
  guarded(countCountries);
}

byId("news").addEventListener("click", async () => {
  await loadList();
  list.first();
});

// --- theme, help, keys

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
function painted() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  map.redraw();
  timeline.redraw();
}
byId("theme").addEventListener("click", () => {
  const name = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = name;
  store("theme", name);
  painted();
});
dark.addEventListener("change", painted);

function store(name, value) {
  try {
    localStorage.setItem(`conflictwire.${name}`, value);
  } catch {
    // Storage may be forbidden; then it holds until the page is left.
  }
}
const singleKeys = byId("single-keys");
try {
  singleKeys.checked = localStorage.getItem("conflictwire.keys") !== "off";
} catch {
  // As above.
}
singleKeys.addEventListener("change", () => store("keys", singleKeys.checked ? "on" : "off"));
byId("help-open").addEventListener("click", () => byId("help").showModal());

const toggle = byId("toggle-filters");
function showFilters(shown) {
  toggle.setAttribute("aria-expanded", String(shown));
  byId("filters").toggleAttribute("data-open", shown);
}
toggle.addEventListener("click", () => showFilters(toggle.getAttribute("aria-expanded") !== "true"));

const KEYS = {
  j: () => list.step(1), k: () => list.step(-1), n: () => { if (!byId("news").hidden) byId("news").click(); },
  "/": () => byId("text").focus(), m: () => map.focus(), t: () => timeline.focus(), "?": () => byId("help").showModal(),
  f: () => { showFilters(true); byId("filters").querySelector("input, button")?.focus(); },
};
addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches?.("input:not([type=checkbox]):not([type=range]), textarea, select");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (view.incident) close();
    else showFilters(false);
    return;
  }
  if (typing || !singleKeys.checked) return;
  const inList = event.target.matches?.("a.row") || event.target === document.body;
  const act = KEYS[event.key] ?? (inList && { ArrowDown: KEYS.j, ArrowUp: KEYS.k }[event.key]);
  if (!act) return;
  event.preventDefault();
  act();
});

// --- begin

painted();
filters.draw();
setInterval(() => list.tick(), TICK);
map.show(view.map);
await guarded(takeMeta);
await reload();
if (view.incident) await open(view.incident, { push: false, focus: false });
document.body.dataset.ready = "yes";
performance.mark("ready");
