// What one looks at, and the query string that says so. Pure.

export const LISTS = ["type", "country", "realis", "status", "language", "source"];
export const SINGLES = [
  "text", "actor", "min_confidence", "min_sources", "happened_since", "happened_until", "since", "until", "bbox", "as_of",
];
export const SPANS = { "30d": { days: 30, by: "day" }, "90d": { days: 90, by: "day" }, "1y": { days: 366, by: "week" }, all: { days: null, by: "month" } };

const MOST_VALUES = 50;
const LONGEST = 200;
const ID = /^[0-9a-f]{24}$/;
const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z)?$/;
const number = (low, high) => (text) => text !== "" && Number(text) >= low && Number(text) <= high;
const TESTS = {
  min_confidence: number(0, 1), min_sources: number(1, 1000),
  happened_since: (text) => TIME.test(text), happened_until: (text) => TIME.test(text),
  since: (text) => TIME.test(text), until: (text) => TIME.test(text), as_of: (text) => TIME.test(text),
  bbox: (text) => box(text) !== null,
};

/** west, south, east, north out of text; null where it is no box. */
export function box(text) {
  const [west, south, east, north, more] = String(text).split(",").map(Number);
  const fits = more === undefined && Math.abs(west) <= 180 && Math.abs(east) <= 180 && south >= -90 && south <= north && north <= 90;
  return fits ? [west, south, east, north] : null;
}

/** The view that a query string says; what cannot be read is left out. */
export function readView(search) {
  const given = new URLSearchParams(search);
  const filters = {};
  for (const name of LISTS) {
    filters[name] = [...new Set(given.getAll(name))].filter((value) => value && value.length <= LONGEST).slice(0, MOST_VALUES);
  }
  for (const name of SINGLES) {
    const value = (given.get(name) ?? "").slice(0, LONGEST);
    filters[name] = value && (TESTS[name]?.(value) ?? true) ? value : "";
  }
  const incident = given.get("incident") ?? "";
  const span = given.get("span") ?? "";
  const place = (given.get("map") ?? "").split(",").map(Number);
  const [lat, lon, zoom] = place;
  const placed = place.length === 3 && Math.abs(lat) <= 85 && Math.abs(lon) <= 180 && zoom >= 0 && zoom <= 12;
  return {
    filters,
    incident: ID.test(incident) ? incident : null,
    span: Object.hasOwn(SPANS, span) ? span : "90d",
    map: placed ? { lat, lon, zoom } : null,
  };
}

/** The query string of a view: `?...`, empty for the first view. */
export function writeView({ filters, incident, span, map }) {
  const given = query(filters);
  if (span !== "90d") given.set("span", span);
  if (map) given.set("map", [map.lat.toFixed(3), map.lon.toFixed(3), map.zoom.toFixed(2)].join(","));
  if (incident) given.set("incident", incident);
  const text = given.toString();
  return text && `?${text}`;
}

/** The filters as the API takes them, but for those named. */
export function query(filters, ...without) {
  const given = new URLSearchParams();
  for (const name of LISTS) {
    if (!without.includes(name)) for (const value of filters[name]) given.append(name, value);
  }
  for (const name of SINGLES) if (filters[name] && !without.includes(name)) given.set(name, filters[name]);
  return given;
}

/** Whether any filter is set. */
export function filtered(filters) {
  return query(filters).size > 0;
}
