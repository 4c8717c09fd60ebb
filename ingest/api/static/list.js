// The list of incidents. What is new waits behind a button, so that nothing moves under the reader's eyes.

import { h, inward, plain, quoted } from "./dom.js";
import { STATUSES, ago, names, plural, quadOf, time, toll, where, who } from "./words.js";

/** Actor and recipient of a record, as its heading. */
export function heading(record) {
  const { actors, recipients } = who(record);
  if (!actors.length && !recipients.length) return h("span", { class: "nobody" }, "Nobody named");
  const arrow = h("span", { class: "arrow" }, h("span", { "aria-hidden": "true" }, " → "), h("span", { class: "sr" }, " to "));
  return h("span", {},
    actors.length ? quoted(names(actors)) : h("span", { class: "nobody" }, "Somebody"),
    recipients.length > 0 && [arrow, quoted(names(recipients))]);
}

/** Status, as a badge that needs no colour. */
export function badge(record) {
  const merged = record.kind === "merged_into" || record.merged_into;
  return h("span", { class: "badge", "data-status": merged ? "merged" : record.status },
    merged ? "Merged" : STATUSES[record.status] ?? record.status);
}

/** The shape and colour of a type's quad class. */
export const glyph = (type) => h("span", { class: "glyph", "data-quad": quadOf(type), "aria-hidden": "true" });

/** Type and modes. */
export const kind = (record) => [
  glyph(record.type.value), h("span", { class: "type" }, plain(record.type.value)),
  record.modes.length > 0 && h("span", { class: "modes" }, plain(record.modes.map(({ value }) => value).join(", "))),
];

export function createList({ root, searchOf, onOpen, onMore }) {
  const rows = root.querySelector("#rows");
  const more = root.querySelector("#more");
  const empty = root.querySelector("#empty");
  const scroll = root.querySelector("#scroll");
  const news = root.querySelector("#news");
  const shown = new Map();
  const waiting = new Map();
  let current = null;

  more.addEventListener("click", onMore);
  new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && !more.hidden && onMore(), {
    root: null, rootMargin: "400px",
  }).observe(more);

  function row(record) {
    const facts = [
      plural(record.sources, "source"), plural(record.reports.length, "report"),
      toll(record, "dead") && `${toll(record, "dead")} dead`, toll(record, "injured") && `${toll(record, "injured")} injured`,
    ].filter(Boolean);
    const link = inward(searchOf(record.incident_id), { class: "row" },
      h("span", { class: "row-top" }, kind(record), where(record) !== "" && h("span", { class: "where" }, quoted(where(record))),
        h("time", { datetime: record.changed, title: time(record.changed) }, ago(record.changed))),
      h("span", { class: "row-head" }, heading(record)),
      h("span", { class: "row-foot" }, badge(record), h("span", { class: "facts" }, facts.join(" · ")),
        record.disputed.length > 0 && h("span", { class: "disputed" }, `disputed: ${record.disputed.map(({ field }) => field).join(", ")}`)));
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      onOpen(record.incident_id);
    });
    if (record.incident_id === current) link.setAttribute("aria-current", "true");
    return link;
  }

  function put(record) {
    const held = shown.get(record.incident_id);
    const item = held?.item ?? h("li", { "data-id": record.incident_id });
    const focused = item.contains(document.activeElement);
    item.replaceChildren(row(record));
    if (focused) item.firstChild.focus({ preventScroll: true });
    item.classList.toggle("gone", record.status === "retracted" || Boolean(record.merged_into));
    shown.set(record.incident_id, { item, record });
    return item;
  }

  function announce() {
    const all = [...waiting.values()];
    const fresh = all.filter((one) => one === "new").length;
    const other = all.length - fresh;
    const text = [fresh && `${fresh} new`, other && `${other} changed`].filter(Boolean).join(", ");
    news.hidden = !all.length;
    news.textContent = all.length ? `${text} — show` : "";
    return text;
  }

  const links = () => [...rows.querySelectorAll("a.row")];

  return {
    scroll,
    get size() { return shown.size; },

    /** Show these records instead of what is there. */
    replace(records, hasMore, nothing) {
      shown.clear();
      waiting.clear();
      announce();
      rows.replaceChildren(...records.map(put));
      more.hidden = !hasMore;
      empty.hidden = records.length > 0;
      empty.textContent = nothing;
      scroll.scrollTop = 0;
    },

    /** Show more at the end. */
    add(records, hasMore) {
      rows.append(...records.filter((record) => !shown.has(record.incident_id)).map(put));
      more.hidden = !hasMore;
    },

    /** Take a record of the live stream in; what there is to say of it. Rows change where they stand, new ones wait. */
    arrive(record) {
      const held = shown.get(record.incident_id);
      if (held) {
        if (held.record.revision >= record.revision) return "";
        put(record).classList.toggle("changed", record.incident_id !== current);
        return "";
      }
      const gone = record.status === "retracted" || record.merged_into;
      if (gone) waiting.delete(record.incident_id);
      else if (waiting.get(record.incident_id) !== "new") {
        waiting.set(record.incident_id, record.revision === 1 ? "new" : "changed");
      }
      return announce();
    },

    /** Mark the incident that is open. */
    mark(incident) {
      current = incident;
      for (const [name, { item }] of shown) {
        if (name === incident) item.classList.remove("changed");
        if (name === incident) item.firstChild.setAttribute("aria-current", "true");
        else item.firstChild.removeAttribute("aria-current");
      }
    },

    /** The addresses of the rows, again, as filters or map have changed. */
    relink() {
      for (const [name, { item }] of shown) item.firstChild.href = `/${searchOf(name)}`;
    },

    /** Move the focus by so many rows: from the row that has it, else from the open one, else to the first. */
    step(by) {
      const all = links();
      const open = shown.get(current)?.item.firstChild;
      const at = all.indexOf(all.includes(document.activeElement) ? document.activeElement : open);
      const next = all[at < 0 ? 0 : Math.min(Math.max(at + by, 0), all.length - 1)];
      next?.focus();
      next?.scrollIntoView({ block: "nearest" });
    },

    /** To the first row. */
    first() {
      (links()[0] ?? root).focus();
    },

    /** Back to the row of an incident, or to the list. */
    focus(incident) {
      (shown.get(incident)?.item.firstChild ?? root).focus({ preventScroll: true });
    },

    /** The times of the rows, as they are now. */
    tick() {
      for (const element of rows.querySelectorAll("time")) element.textContent = ago(element.dateTime);
    },
  };
}
