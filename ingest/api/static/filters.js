// The filters: a form on the left, and above the list those in force, each to be taken away.

import { h, quoted } from "./dom.js";
import { LISTS, SINGLES } from "./view.js";
import { QUADS, REALIS, STATUSES, country, day, language, time } from "./words.js";
import { glyph } from "./list.js";

const NAMES = {
  type: "Type", country: "Country", realis: "Realis", status: "Status", language: "Language", source: "Feed", text: "Words",
  actor: "Actor", min_confidence: "Confidence from", min_sources: "Sources from", happened_since: "Happened from",
  happened_until: "Happened before", since: "Changed from", until: "Changed before", bbox: "Area", as_of: "As known at",
};
const LONGEST_WAIT = 300; // milliseconds after a key before the filter acts

/** The value of a filter in words. */
export function shown(name, value) {
  if (name === "country") return country(value);
  if (name === "realis") return REALIS[value] ?? value;
  if (name === "status") return STATUSES[value] ?? value;
  if (name === "language") return language(value);
  if (name === "bbox") return value.split(",").map((degrees) => Number(degrees).toFixed(1)).join(", ");
  if (name === "as_of") return time(value);
  return /_?(since|until)$/.test(name) ? day(value) : value;
}

export function createFilters({ root, chips, search, filters, onChange }) {
  const options = { country: [], language: [], source: [] };
  let later = null;

  const change = (name, value) => {
    filters[name] = value;
    onChange(name);
  };
  const soon = (action) => {
    clearTimeout(later);
    later = setTimeout(action, LONGEST_WAIT);
  };

  const boxes = (name, values, label) => values.map((value) => h("label", { class: "check" },
    h("input", { type: "checkbox", name, value, on: { change: () => change(name,
      [...root.querySelectorAll(`input[name=${name}]:checked`)].map((input) => input.value)) } }),
    label(value)));

  const group = (title, ...children) => h("fieldset", {}, h("legend", {}, title), children);

  // One of many by its name: a text field with suggestions; what is taken becomes a chip.
  function picker(name, title) {
    const id = `pick-${name}`;
    const input = h("input", { id, type: "text", list: `${id}-list`, autocomplete: "off", placeholder: "Any" });
    const take = () => {
      const wanted = input.value.trim().toLowerCase();
      const found = options[name].find((value) => [value, shown(name, value)].some((text) => text.toLowerCase() === wanted));
      input.setCustomValidity(found || !wanted ? "" : `No ${title.toLowerCase()} of that name has events here`);
      if (!found) return;
      input.value = "";
      if (!filters[name].includes(found)) change(name, [...filters[name], found]);
    };
    input.addEventListener("change", () => { take(); input.reportValidity(); });
    input.addEventListener("input", (event) => { input.setCustomValidity(""); if (event.inputType === "insertReplacementText" || !event.inputType) take(); });
    return group(title, h("label", { class: "sr", for: id }, `Add a ${title.toLowerCase()}`), input, h("datalist", { id: `${id}-list` }));
  }

  function field(name, title, attributes) {
    const id = `filter-${name}`;
    const input = h("input", { id, name, ...attributes });
    input.addEventListener("input", () => soon(() => input.checkValidity() && change(name, input.value)));
    return h("p", { class: "field" }, h("label", { for: id }, title), input);
  }

  // A date and time in UTC, as the URL has it.
  function moment(name, title) {
    const id = `filter-${name}`;
    const input = h("input", { id, name, type: "datetime-local", max: "9999-12-31T23:59" });
    input.addEventListener("change", () => change(name, input.value && `${input.value}:00Z`));
    return h("p", { class: "field" }, h("label", { for: id }, title), input);
  }

  const types = group("Type");
  types.id = "types";
  const confidence = h("input", { id: "filter-min_confidence", name: "min_confidence", type: "range", min: "0", max: "1", step: "0.05" });
  const confidenceShown = h("output", { for: "filter-min_confidence" });
  confidence.addEventListener("input", () => {
    confidenceShown.textContent = Number(confidence.value).toFixed(2);
    soon(() => change("min_confidence", Number(confidence.value) ? confidence.value : ""));
  });
  const form = h("form", { on: { submit: (event) => event.preventDefault() } },
    h("div", { class: "filters-head" }, h("h2", {}, "Filters"), h("button", { type: "button", id: "clear", class: "plain", on: { click: () => {
      for (const name of LISTS) filters[name] = [];
      for (const name of SINGLES) filters[name] = "";
      onChange("all");
    } } }, "Clear all")),
    types,
    group("Status", boxes("status", Object.keys(STATUSES), (value) => STATUSES[value])),
    group("Support",
      field("min_sources", "Independent sources, at least", { type: "number", min: "1", max: "1000", step: "1", placeholder: "1" }),
      h("p", { class: "field" }, h("label", { for: "filter-min_confidence" }, "Confidence, at least ", confidenceShown), confidence)),
    picker("country", "Country"),
    group("Actor or recipient", h("label", { class: "sr", for: "filter-actor" }, "Words of an actor or recipient"),
      field("actor", "", { type: "text", maxlength: "200", autocomplete: "off", placeholder: "Any" }).lastChild),
    group("Realis", boxes("realis", Object.keys(REALIS), (value) => REALIS[value])),
    group("Happened", field("happened_since", "from", { type: "date" }), field("happened_until", "before", { type: "date" })),
    picker("language", "Language"), picker("source", "Feed"),
    group("As known at (UTC)", h("label", { class: "sr", for: "filter-as_of" }, "As known at"), moment("as_of", "").lastChild));
  root.append(form);

  const text = search.querySelector("input");
  text.addEventListener("input", () => soon(() => change("text", text.value)));
  search.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(later); change("text", text.value); });

  function draw() {
    for (const input of root.querySelectorAll("input[type=checkbox]")) input.checked = filters[input.name].includes(input.value);
    for (const input of [...root.querySelectorAll("input[name]:not([type=checkbox])"), text]) {
      if (input === document.activeElement) continue;
      const value = filters[input.name];
      input.value = input.type === "datetime-local" ? value.slice(0, 16) : input.type === "date" ? value.slice(0, 10) : value || (input.type === "range" ? "0" : "");
    }
    confidenceShown.textContent = Number(confidence.value).toFixed(2);
    const all = [
      ...LISTS.flatMap((name) => filters[name].map((value) => [name, value])),
      ...SINGLES.filter((name) => filters[name]).map((name) => [name, filters[name]]),
    ];
    chips.hidden = !all.length;
    chips.replaceChildren(...all.map(([name, value]) => {
      const said = shown(name, value);
      return h("li", {}, h("button", { type: "button", "aria-label": `Take away ${NAMES[name]}: ${said}`, on: { click: () => {
        filters[name] = LISTS.includes(name) ? filters[name].filter((one) => one !== value) : "";
        onChange(name);
      } } }, h("span", { class: "muted" }, NAMES[name]), " ", quoted(said), h("span", { "aria-hidden": "true" }, " ×")));
    }));
  }

  return {
    draw,

    /** The values that there are. */
    learn(meta) {
      for (const [quad, short] of types.querySelector(".checks") ? [] : Object.entries(QUADS)) {
        const members = meta.types.filter((one) => one.quad === quad).map(({ type }) => type);
        if (!members.length) continue;
        types.append(h("p", { class: "quad" }, quad[0].toUpperCase() + quad.slice(1)),
          h("div", { class: "checks", "data-quad": short }, boxes("type", members, (type) => [glyph(type), h("span", { class: "type" }, type), h("span", { class: "count", "data-count": type })])));
      }
      options.country = meta.countries.map(({ code }) => code);
      options.language = meta.languages;
      options.source = meta.sources;
      for (const name of Object.keys(options)) {
        document.getElementById(`pick-${name}-list`).replaceChildren(...options[name].map((value) => h("option", { value: shown(name, value) })));
      }
      draw();
    },

    /** How many incidents of each type there are, whatever types are chosen. */
    count(rows) {
      const counts = new Map(rows.map(({ type, count }) => [type, count]));
      for (const element of types.querySelectorAll("[data-count]")) {
        element.textContent = (counts.get(element.dataset.count) ?? 0).toLocaleString("en");
      }
    },
  };
}
