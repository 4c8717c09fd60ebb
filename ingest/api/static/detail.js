// One incident: what is known, in which words, and how it came to be known.

import { h, inward, outward, plain, quoted } from "./dom.js";
import { badge, heading, kind } from "./list.js";
import { ROLES, evidence } from "./marks.js";
import { REALIS, ROLE_NAMES, STATUSES, changes, kindName, language, plural, range, time, value, where } from "./words.js";

const KINDS_OF_FACT = [
  ["place", "Place"], ["date", "Date"], ["actors", "Actors"], ["recipients", "Recipients"], ["dead", "Dead"], ["injured", "Injured"],
];

/** The words of a sentence, with the evidence in colour and named for those who see none. */
function sentence(event) {
  const { pieces, elsewhere } = evidence(event);
  const text = h("blockquote", { class: "sentence", dir: "auto", lang: event.article.language });
  for (const piece of pieces) {
    const words = plain(piece.text);
    const [first, second] = ROLES.filter((role) => piece.roles.includes(role));
    if (!first) text.append(words);
    else {
      const said = piece.roles.map((role) => ROLE_NAMES[role]).join(", ");
      text.append(h("mark", { "data-role": first, "data-also": second, title: said }, h("span", { class: "sr" }, ` (${said}:) `), words));
    }
  }
  if (!elsewhere.length) return [text];
  const others = elsewhere.map((span) => h("li", {},
    h("span", { class: "role-name" }, ROLE_NAMES[span.role]), " ",
    h("mark", { "data-role": span.role }, quoted(span.text)),
    h("span", { class: "muted" }, span.field === "title" ? " in the headline" : " elsewhere in the text")));
  return [text, h("ul", { class: "elsewhere" }, others)];
}

/** One report: who told it when, in which words. */
function report(told, event) {
  const head = h("header", { class: "report-head" },
    h("strong", {}, quoted(told.publisher)), " ", h("time", { datetime: told.published }, time(told.published)),
    event?.article.language && h("span", { class: "muted" }, language(event.article.language)),
    told.denies && h("span", { class: "denies" }, "Denies it"));
  if (!event) return h("li", { class: "report" }, head, h("p", { class: "muted" }, "Its event is kept no longer."));
  const title = event.article.title || event.article.url;
  const foot = h("p", { class: "report-foot" },
    event.status === "retracted" && h("strong", {}, "Withdrawn. "),
    `${plain(event.type)} · ${REALIS[event.realis] ?? event.realis} · confidence ${event.confidence.toFixed(2)}`,
    event.revision > 1 && ` · revision ${event.revision}`);
  return h("li", { class: "report", "data-event": told.event_id }, head,
    h("p", { class: "title" }, outward(quoted(title), event.article.url)), sentence(event), foot);
}

/** The figures of all reports, in the order in which they were told. */
function figures(said) {
  return h("ul", { class: "figures" }, said.figures.map((one) =>
    h("li", {}, h("strong", {}, range(one)), " ", quoted(one.publisher), " ", h("span", { class: "muted" }, time(one.published)))));
}

function facts(record) {
  const lines = [];
  for (const [field, name] of KINDS_OF_FACT) {
    const held = [record[field] ?? []].flat();
    if (!held.length) continue;
    const all = record[`${field}_figures`];
    const rivals = record.disputed.find((one) => one.field === field)?.rivals ?? [];
    lines.push(h("div", {}, h("dt", {}, name), h("dd", {},
      held.map((one) => h("p", {}, quoted(value(field, one)), " ", h("span", { class: "support" }, plural(one.sources, "source")))),
      rivals.map((one) => h("p", { class: "rival" }, "but ", quoted(value(field, one)), " ", h("span", { class: "support" }, plural(one.sources, "source")))),
      all && all.figures.length > 1 && h("details", {}, h("summary", {}, `${all.figures.length} figures, ${range(all)}`), figures(all)))));
  }
  lines.push(h("div", {}, h("dt", {}, "Told"), h("dd", {},
    `first ${time(record.first_report)}, last ${time(record.last_report)}`)));
  return h("dl", { class: "facts-list" }, lines);
}

function legend() {
  return h("ul", { class: "legend", "aria-label": "Colours of the marks" },
    ROLES.map((role) => h("li", {}, h("mark", { "data-role": role }, ROLE_NAMES[role]))));
}

function history(records, searchOf) {
  const items = records.map((record, at) => {
    const lines = at ? changes(records[at - 1], record) : [];
    return h("li", {},
      h("p", {}, h("strong", {}, `Revision ${record.revision}`), ` · ${kindName(record.kind)} · `,
        h("time", { datetime: record.changed }, time(record.changed))),
      at === 0 && h("p", { class: "muted" }, `${STATUSES[record.status]}, ${plural(record.sources, "source")}, ${plural(record.reports.length, "report")}`),
      record.merged_into && h("p", {}, inward(searchOf(record.merged_into), { "data-incident": record.merged_into }, "The incident that it was merged into")),
      record.split_from && h("p", {}, inward(searchOf(record.split_from), { "data-incident": record.split_from }, "The incident that it was split from")),
      lines.length > 0 && h("ul", { class: "changes" }, lines.map(({ field, from, to }) =>
        h("li", {}, `${field}: `, from ? quoted(from, "del") : h("span", { class: "muted" }, "none"), " → ", to ? quoted(to, "ins") : h("span", { class: "muted" }, "none")))));
  });
  return h("ol", { class: "history", "aria-label": "Revisions, the last first" }, items.reverse());
}

export function createDetail({ root, api, searchOf, onClose, onOpen }) {
  let shown = null;
  let request = new AbortController();

  root.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-incident]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    onOpen(link.dataset.incident);
  });

  function draw({ incident: record, events }, revisions) {
    const told = new Map(events.map((event) => [event.event_id, event]));
    const sources = new Map();
    for (const one of record.reports) sources.set(one.source, [...(sources.get(one.source) ?? []), one]);
    const title = h("h2", { id: "detail-title", tabindex: "-1" }, heading(record));
    root.replaceChildren(...[
      h("div", { class: "detail-head" },
        h("p", { class: "row-top" }, kind(record), where(record) !== "" && h("span", { class: "where" }, quoted(where(record)))), title,
        h("p", { class: "row-foot" }, badge(record),
          `${plural(record.sources, "independent source")}, ${plural(record.reports.length, "report")} · revision ${record.revision} · changed ${time(record.changed)}`),
        h("button", { type: "button", class: "close", "aria-label": "Close the incident", on: { click: onClose } }, "×")),
      h("p", { id: "stale", class: "stale", hidden: true }),
      facts(record),
      h("h3", {}, "Evidence"), legend(),
      [...sources].map(([number, reports]) => h("section", { class: "source" },
        h("h4", {}, `Source ${number}`, reports.length > 1 && h("span", { class: "muted" }, ` ${reports.length} reports that count once`)),
        h("ol", { class: "reports" }, reports.map((one) => report(one, told.get(one.event_id)))))),
      h("h3", {}, "History"), history(revisions, searchOf),
    ].flat());
    root.setAttribute("aria-labelledby", "detail-title");
    return title;
  }

  return {
    get shown() { return shown?.incident_id ?? null; },
    get place() { return shown?.place?.value ?? null; },

    /** Show an incident; with `focus`, its heading takes the focus. */
    async open(incident, asOf, focus) {
      request.abort();
      request = new AbortController();
      const { signal } = request;
      root.hidden = false;
      root.setAttribute("aria-busy", "true");
      const name = encodeURIComponent(incident);
      const parameters = new URLSearchParams(asOf ? { as_of: asOf } : {});
      try {
        const [answer, revisions] = await Promise.all([
          api.get(`incidents/${name}`, parameters, signal), api.get(`incidents/${name}/revisions`, null, signal),
        ]);
        shown = answer.incident;
        const title = draw(answer, revisions.items.filter((one) => one.revision <= shown.revision));
        root.scrollTop = 0;
        if (focus) title.focus({ preventScroll: true });
        return shown;
      } catch (error) {
        if (signal.aborted) return null;
        shown = null;
        root.replaceChildren(h("p", { class: "empty" }, error.message),
          h("button", { type: "button", class: "close", "aria-label": "Close the incident", on: { click: onClose } }, "×"));
        return null;
      } finally {
        if (!signal.aborted) root.removeAttribute("aria-busy");
      }
    },

    close() {
      request.abort();
      shown = null;
      root.hidden = true;
      root.removeAttribute("aria-labelledby");
      root.replaceChildren();
    },

    /** Say that the incident has changed, without changing what is being read. */
    arrive(record) {
      if (!shown || record.incident_id !== shown.incident_id || record.revision <= shown.revision) return;
      const stale = root.querySelector("#stale");
      stale.hidden = false;
      stale.replaceChildren(`Revision ${record.revision} is out. `,
        h("button", { type: "button", on: { click: () => onOpen(record.incident_id) } }, "Show it"));
    },
  };
}
