// The map: outlines of Natural Earth drawn on a canvas, and over them a point for each place. No tiles, nothing from outside.

import { h, say } from "./dom.js";
import { plural, quadOf, time } from "./words.js";

const WIDE = 1000; // pixels of the drawn world before zooming
const EDGE = 1.04; // room beside it, so that points at the date line are whole
const SOUTH = -60;
const NORTH = 78;
const CLOSEST = 12;
const FINE_FROM = 2; // zoom from which the finer outlines are worth their half megabyte
const NAMES_FROM = 2.2;
const RESTING = 180; // milliseconds without movement after which points are asked for
const MARGIN = 30; // pixels from the edge, within which a place is no longer seen well
const NEAR = 6; // pixels around a point that still hit it
const SHAPES = { mc: circle, vc: diamond, vp: triangle, mp: square, none: circle };

function circle(context, x, y, r) { context.moveTo(x + r, y); context.arc(x, y, r, 0, 2 * Math.PI); }
function square(context, x, y, r) { const s = r * 0.9; context.rect(x - s, y - s, 2 * s, 2 * s); }
function diamond(context, x, y, r) { const s = r * 1.25; context.moveTo(x, y - s); context.lineTo(x + s, y); context.lineTo(x, y + s); context.lineTo(x - s, y); context.closePath(); }
function triangle(context, x, y, r) { const s = r * 1.35; context.moveTo(x, y - s); context.lineTo(x + s, y + 0.75 * s); context.lineTo(x - s, y + 0.75 * s); context.closePath(); }

/** The level of detail that the API is asked for. */
const levelOf = (zoom) => Math.min(Math.max(Math.round(zoom) + 2, 0), 12);

/** The cell of the API's grid that a point stands for: west, south, east, north. */
function cellOf([lon, lat], level) {
  const size = 8 / 2 ** level;
  const west = Math.floor((lon + 180) / size) * size - 180;
  const south = Math.floor((lat + 90) / size) * size - 90;
  return [west, south, Math.min(west + size, 180), Math.min(south + size, 90)].map((degrees) => Number(degrees.toFixed(4)));
}

export function createMap({ root, onMove, onBox, onOpen, fetchPoints }) {
  const canvas = h("canvas", { tabindex: "0", role: "application", "aria-roledescription": "map", "aria-label": "World map", "aria-describedby": "map-keys" });
  const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const area = h("button", { type: "button", class: "area" }, "Only this view");
  const button = (label, text, act) => h("button", { type: "button", "aria-label": label, title: label, on: { click: act } }, text);
  root.append(canvas, tip,
    h("p", { id: "map-keys", class: "sr" }, "Arrows move, plus and minus zoom, 0 shows the world, brackets go from place to place, Enter shows its incidents."),
    h("div", { class: "map-tools" }, button("Zoom in", "+", () => zoomBy(1)), button("Zoom out", "−", () => zoomBy(-1)), button("The world", "⌂", () => { world(); moved(); }), area),
    h("ul", { class: "map-legend", "aria-label": "Shapes on the map" }, [["mc", "Material conflict"], ["vc", "Verbal conflict"], ["vp", "Verbal cooperation"], ["mp", "Material cooperation"]].map(([quad, name]) =>
      h("li", {}, h("span", { class: "glyph", "data-quad": quad, "aria-hidden": "true" }), name))));

  const projection = d3.geoMercator().scale(WIDE / (2 * Math.PI)).translate([0, 0]);
  const top = projection([0, NORTH])[1];
  const bottom = projection([0, SOUTH])[1];
  let outlines = { coarse: null, fine: null };
  let loading = null;
  let size = { width: 0, height: 0 };
  let at = { x: 0, y: 0, k: 1 }; // the middle of the canvas in the drawn world, and pixels per pixel of it
  let points = [];
  let level = 2;
  let box = null;
  let marked = null;
  let chosen = -1;
  let timer = null;
  let frame = null;
  let request = null;

  const fit = () => Math.max(size.width / WIDE / EDGE, 0.1);
  const zoomOf = (k) => Math.log2(k / fit());
  const toScreen = (lon, lat) => {
    const [x, y] = projection([lon, lat]);
    return [(x - at.x) * at.k + size.width / 2, (y - at.y) * at.k + size.height / 2];
  };
  const toWorld = (x, y) => [(x - size.width / 2) / at.k + at.x, (y - size.height / 2) / at.k + at.y];

  function clamp() {
    const low = fit();
    at.k = Math.min(Math.max(at.k, low), low * 2 ** CLOSEST);
    const half = size.width / 2 / at.k;
    const most = (WIDE * EDGE) / 2 - half;
    at.x = Math.min(Math.max(at.x, -most), most);
    const tall = size.height / 2 / at.k;
    at.y = tall >= (bottom - top) / 2 ? (top + bottom) / 2 : Math.min(Math.max(at.y, top + tall), bottom - tall);
  }

  function bounds() {
    const [west, north] = projection.invert(toWorld(0, 0));
    const [east, south] = projection.invert(toWorld(size.width, size.height));
    const round = (degrees, most) => Number(Math.min(Math.max(degrees, -most), most).toFixed(4));
    // Past the edge of the world longitudes begin again.
    const wide = size.width / at.k >= WIDE;
    return [wide ? -180 : round(west, 180), round(south, 90), wide ? 180 : round(east, 180), round(north, 90)];
  }

  function world() {
    at = { x: 0, y: projection([0, 22])[1], k: fit() };
    clamp();
  }

  // --- outlines

  function pathOf(shape) {
    const path = new Path2D();
    // d3 asks for a context; of that, a path lacks but the beginning.
    d3.geoPath(projection, { beginPath() {}, moveTo: (x, y) => path.moveTo(x, y), lineTo: (x, y) => path.lineTo(x, y), closePath: () => path.closePath(), arc: (...circle_) => path.arc(...circle_) })(shape);
    return path;
  }

  async function load(name) {
    const atlas = await (await fetch(`/static/vendor/countries-${name === "fine" ? "50m" : "110m"}.json`)).json();
    const { countries } = atlas.objects;
    const shapes = topojson.feature(atlas, countries).features.filter((one) => one.properties.name !== "Antarctica");
    outlines = { ...outlines, [name]: {
      land: pathOf({ type: "FeatureCollection", features: shapes }),
      borders: pathOf(topojson.mesh(atlas, countries, (a, b) => a !== b)),
      names: shapes.map((one) => {
        // The largest part bears the name: France is not in the Atlantic.
        const parts = one.geometry.type === "MultiPolygon" ? one.geometry.coordinates.map((coordinates) => ({ type: "Polygon", coordinates })) : [one.geometry];
        const [largest] = parts.map((part) => [d3.geoArea(part), part]).sort(([a], [b]) => b - a);
        return { name: one.properties.name, centre: d3.geoCentroid(largest[1]), size: Math.sqrt(largest[0]) };
      }),
    } };
    redraw();
  }

  // --- drawing

  const redraw = () => { frame ??= requestAnimationFrame(draw); };

  function draw() {
    frame = null;
    const { width, height } = size;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = colour("water");
    context.fillRect(0, 0, width, height);
    const zoom = zoomOf(at.k);
    const drawn = (zoom >= FINE_FROM && outlines.fine) || outlines.coarse;
    if (drawn) {
      context.save();
      context.translate(width / 2, height / 2);
      context.scale(at.k, at.k);
      context.translate(-at.x, -at.y);
      context.fillStyle = colour("land");
      context.fill(drawn.land, "evenodd");
      context.lineWidth = 0.8 / at.k;
      context.strokeStyle = colour("coast");
      context.stroke(drawn.land);
      context.strokeStyle = colour("borders");
      context.stroke(drawn.borders);
      context.restore();
      if (zoom >= NAMES_FROM - 1) names(context, drawn, colour);
    }
    if (box) {
      const [west, south, east, north] = box;
      const [left, upper] = toScreen(west, north);
      const [right, lower] = toScreen(east, south);
      context.setLineDash([5, 3]);
      context.lineWidth = 1.5;
      context.strokeStyle = colour("ink");
      context.strokeRect(left, upper, right - left, lower - upper);
      context.setLineDash([]);
    }
    context.font = `600 10px ${style.fontFamily}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    points.forEach((point, number) => {
      const [x, y] = toScreen(...point.at);
      point.x = x;
      point.y = y;
      const r = point.r;
      if (x < -r || y < -r || x > width + r || y > height + r) return;
      context.beginPath();
      SHAPES[point.quad](context, x, y, r);
      context.globalAlpha = 0.88;
      context.fillStyle = colour(point.quad === "none" ? "muted" : `c-${point.quad}`);
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = number === chosen ? 2.5 : 1;
      context.strokeStyle = number === chosen ? colour("ink") : colour("land");
      context.stroke();
      if (r >= 9.5) {
        context.fillStyle = colour(point.quad === "vp" ? "on-vp" : "on-mark");
        context.fillText(point.count > 9999 ? `${Math.round(point.count / 1000)}k` : String(point.count), x, y + (point.quad === "vp" ? 3 : 0.5));
      }
    });
    if (marked) {
      const [x, y] = toScreen(marked.lon, marked.lat);
      context.beginPath();
      context.arc(x, y, 15, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.strokeStyle = colour("ink");
      context.stroke();
    }
  }

  function names(context, { names: all }, colour) {
    context.font = `11px ${getComputedStyle(root).fontFamily}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = colour("land");
    context.fillStyle = colour("muted");
    for (const { name, centre, size: radians } of all) {
      const room = radians * at.k * (WIDE / (2 * Math.PI));
      if (room < name.length * 5.5) continue;
      const [x, y] = toScreen(...centre);
      if (x < 0 || y < 0 || x > size.width || y > size.height) continue;
      context.strokeText(name, x, y);
      context.fillText(name, x, y);
    }
  }

  // --- points

  async function ask() {
    request?.abort();
    request = new AbortController();
    const { signal } = request;
    const asked = levelOf(zoomOf(at.k));
    const [west, south, east, north] = bounds();
    const inView = zoomOf(at.k) >= 2 ? [west, south, east, north].join(",") : null;
    try {
      const answer = await fetchPoints(asked, inView, signal);
      level = asked;
      chosen = -1;
      points = answer.features.map(({ geometry, properties }) => ({
        at: geometry.coordinates, count: properties.count, type: properties.type, quad: quadOf(properties.type),
        incidents: properties.incidents ?? [], latest: properties.latest, r: Math.min(3.2 + 1.9 * Math.log2(1 + properties.count), 22), x: NaN, y: NaN,
      })).sort((a, b) => b.count - a.count);
      canvas.setAttribute("aria-label", `World map, ${plural(points.length, "place")} with incidents`);
      root.dataset.points = String(points.length);
      redraw();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  function moved(quiet = false) {
    clamp();
    redraw();
    if (zoomOf(at.k) >= FINE_FROM && !outlines.fine) loading ??= load("fine").catch(() => { loading = null; });
    clearTimeout(timer);
    timer = setTimeout(() => { ask(); if (!quiet) onMove(api.place()); }, RESTING);
  }

  function zoomBy(steps, x = size.width / 2, y = size.height / 2) {
    const [worldX, worldY] = toWorld(x, y);
    const low = fit();
    at.k = Math.min(Math.max(at.k * 2 ** steps, low), low * 2 ** CLOSEST);
    at.x = worldX - (x - size.width / 2) / at.k;
    at.y = worldY - (y - size.height / 2) / at.k;
    moved();
  }

  const describe = (point) => `${plural(point.count, "incident")}, most of them ${point.type}, the latest ${time(point.latest)}`;

  function hit(x, y) {
    let best = -1;
    let nearest = Infinity;
    points.forEach((point, number) => {
      const distance = Math.hypot(point.x - x, point.y - y) - point.r;
      if (distance < NEAR && distance < nearest) { nearest = distance; best = number; }
    });
    return best;
  }

  function choose(number) {
    const point = points[number];
    if (!point) return;
    if (point.count === 1 && point.incidents.length) onOpen(point.incidents[0]);
    else onBox(cellOf(point.at, level));
  }

  function showTip(number, x, y) {
    tip.hidden = number < 0;
    canvas.classList.toggle("over", number >= 0);
    if (number < 0) return;
    tip.textContent = describe(points[number]);
    tip.style.left = `${Math.min(x + 12, size.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(y - 30, 4)}px`;
  }

  // --- pointers, wheel, keys

  const down = new Map();
  let travelled = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (down.size === 1) travelled = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) { showTip(event.pointerType === "mouse" ? hit(event.offsetX, event.offsetY) : -1, event.offsetX, event.offsetY); return; }
    const now = [event.offsetX, event.offsetY];
    travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (down.size === 2) {
      const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const spread = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      if (spread(before) > 10) zoomBy(Math.log2(spread(now) / spread(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      at.x -= (now[0] - before[0]) / at.k;
      at.y -= (now[1] - before[1]) / at.k;
      showTip(-1);
      moved();
    }
    down.set(event.pointerId, now);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (down.delete(event.pointerId) && travelled < 5) choose(hit(event.offsetX, event.offsetY));
  });
  canvas.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => showTip(-1));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(-event.deltaY * (event.deltaMode ? 0.05 : 0.0025), event.offsetX, event.offsetY);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (pan) {
      at.x += pan[0] * size.width / 6 / at.k;
      at.y += pan[1] * size.height / 6 / at.k;
      moved();
    } else if (event.key === "+" || event.key === "=") zoomBy(1);
    else if (event.key === "-") zoomBy(-1);
    else if (event.key === "0") { world(); moved(); }
    else if ((event.key === "]" || event.key === "[") && points.length) {
      chosen = (Math.max(chosen, event.key === "]" ? -1 : 0) + (event.key === "]" ? 1 : -1) + points.length) % points.length;
      const point = points[chosen];
      if (point.x < 0 || point.y < 0 || point.x > size.width || point.y > size.height) {
        [at.x, at.y] = projection(point.at);
        clamp();
      }
      redraw();
      say(`Place ${chosen + 1} of ${points.length}: ${describe(point)}`);
    } else if (event.key === "Enter" && chosen >= 0) choose(chosen);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  area.addEventListener("click", () => onBox(bounds()));

  new ResizeObserver(() => {
    const before = size.width ? { zoom: zoomOf(at.k) } : null;
    size = { width: canvas.clientWidth, height: canvas.clientHeight };
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(size.width * ratio);
    canvas.height = Math.round(size.height * ratio);
    if (before) at.k = fit() * 2 ** before.zoom;
    clamp();
    draw();
  }).observe(canvas);

  const api = {
    focus: () => canvas.focus(),
    redraw,

    /** Where one looks; null where it is the world. */
    place() {
      const zoom = zoomOf(at.k);
      if (zoom < 0.05) return null;
      const [lon, lat] = projection.invert([at.x, at.y]);
      return { lat, lon, zoom };
    },

    /** Look there; null is the world. */
    show(place) {
      size = { width: canvas.clientWidth, height: canvas.clientHeight };
      if (place) {
        const [x, y] = projection([place.lon, place.lat]);
        at = { x, y, k: fit() * 2 ** place.zoom };
        clamp();
      } else world();
      if (zoomOf(at.k) >= FINE_FROM && !outlines.fine) loading ??= load("fine").catch(() => { loading = null; });
      redraw();
    },

    /** Ask for the points again. */
    refresh: ask,

    /** The area in force, and the place of the open incident. */
    mark(area_, place) {
      box = area_;
      const before = marked;
      marked = place && place.lat !== null && place.lon !== null ? place : null;
      if (marked && marked !== before) {
        const [x, y] = toScreen(marked.lon, marked.lat);
        const inside = x > MARGIN && y > MARGIN && x < size.width - MARGIN && y < size.height - MARGIN;
        if (!inside) { [at.x, at.y] = projection([marked.lon, marked.lat]); moved(true); }
      }
      redraw();
    },
  };
  load("coarse").catch(() => undefined);
  return api;
}
