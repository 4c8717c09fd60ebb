// Records in words. Pure, apart from what language the browser speaks.

export const STATUSES = {
  single_source: "Single source", corroborated: "Corroborated", contradicted: "Contradicted", retracted: "Retracted",
};
export const REALIS = {
  actual: "Happened", historical: "Long past", future: "To come", hypothetical: "May be", negated: "Denied",
};
export const ROLE_NAMES = {
  trigger: "Trigger", actor: "Actor", recipient: "Recipient", place: "Place", date: "Date", dead: "Dead", injured: "Injured",
  source: "Claimed by",
};
export const QUADS = {
  "material conflict": "mc", "verbal conflict": "vc", "verbal cooperation": "vp", "material cooperation": "mp",
};
const KINDS = { new: "New", updated: "Updated", merged_into: "Merged into another", split_from: "Split from another" };
const FIELDS = { type: "type", place: "place", date: "date", actors: "actors", recipients: "recipients", dead: "dead", injured: "injured" };

// What the server says of types, countries and languages, once it has said it.
const known = { quads: new Map(), countries: new Map() };

/** Take the names of `/v1/meta`. */
export function learn(meta) {
  known.quads = new Map(meta.types.map(({ type, quad }) => [type, quad]));
  known.countries = new Map(meta.countries.map(({ code, name }) => [code, name]));
}

/** The short name of a type's quad class, as style sheet and map use it. */
export const quadOf = (type) => QUADS[known.quads.get(type)] ?? "none";

// What stands where an actor has no country.
const GROUPS = {
  IGO: "Intergovernmental organisations", NGO: "Non-governmental organisations", IMG: "International militant groups",
};

/** The name of a country, its code where there is none. */
export const country = (code) => GROUPS[code] ?? known.countries.get(code) ?? code;

const languages = new Intl.DisplayNames(["en"], { type: "language" });

/** The English name of a language. */
export function language(code) {
  try {
    return languages.of(code);
  } catch {
    return code;
  }
}

export const kindName = (kind) => KINDS[kind] ?? kind;

export const plural = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

/** "12", "12–15", "at least 12". */
export function range({ min, max }) {
  if (max === null || max === undefined) return `at least ${min.toLocaleString("en")}`;
  return min === max ? min.toLocaleString("en") : `${min.toLocaleString("en")}–${max.toLocaleString("en")}`;
}

/** How many a record says: over all figures, else the best one. */
export function toll(record, field) {
  const figures = record[`${field}_figures`];
  if (figures && figures.min !== figures.max) return range(figures);
  return record[field] ? range(record[field].value) : null;
}

/** Place and country of a record. */
export function where(record) {
  const place = record.place?.value;
  if (!place) return record.countries.map(country).join(", ");
  const name = country(place.country);
  return place.name && place.name !== name ? `${place.name}, ${name}` : name;
}

/** Actors and recipients, each a list of their words. */
export function who(record) {
  const words = (parties) => parties.map(({ value }) => value.text);
  return { actors: words(record.actors), recipients: words(record.recipients) };
}

/** Names of at most `most`, and how many more there are. */
export function names(texts, most = 3) {
  const shown = texts.slice(0, most).join(", ");
  return texts.length > most ? `${shown} and ${texts.length - most} more` : shown;
}

const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const minute = new Intl.DateTimeFormat("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
});

/** "3 Nov 2026" of a day or time. */
export const day = (text) => date.format(new Date(text));

/** "3 Nov 2026, 14:05 UTC". */
export const time = (text) => `${minute.format(new Date(text))} UTC`;

/** "3 Nov 2026", "3–5 Nov 2026". */
export const days = ({ earliest, latest }) =>
  earliest && latest ? date.formatRange(new Date(earliest), new Date(latest)) : day(earliest ?? latest);

const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** "now", "14 min", "3 h", "2 d", then the day, with its year where that is another. */
export function ago(text, now = Date.now()) {
  const minutes = Math.floor((now - new Date(text)) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h`;
  if (minutes < 7 * 24 * 60) return `${Math.floor(minutes / 60 / 24)} d`;
  return new Date(text).getUTCFullYear() === new Date(now).getUTCFullYear() ? short.format(new Date(text)) : day(text);
}

/** What a value of a record's field says, in words. */
export function value(field, { value: said }) {
  if (field === "place") return [said.name, said.admin1, said.country && country(said.country)].filter(Boolean).join(", ");
  if (field === "date") return days(said);
  if (field === "dead" || field === "injured") return range(said);
  return typeof said === "string" ? said : said.text;
}

/** What one revision of an incident changed in the one before: lines of `{field, from, to}`. */
export function changes(before, after) {
  const shown = (field, record) => {
    const held = record[field];
    return held ? [held].flat().map((one) => value(field, one)).join("; ") : "";
  };
  const lines = Object.keys(FIELDS).map((field) => ({ field: FIELDS[field], from: shown(field, before), to: shown(field, after) }));
  lines.unshift({ field: "status", from: STATUSES[before.status], to: STATUSES[after.status] });
  for (const field of ["dead", "injured"]) {
    lines.push({ field: `${field}, all figures`, from: toll(before, field) ?? "", to: toll(after, field) ?? "" });
  }
  lines.push({ field: "sources", from: String(before.sources), to: String(after.sources) });
  lines.push({ field: "reports", from: String(before.reports.length), to: String(after.reports.length) });
  const disputed = (record) => record.disputed.map(({ field }) => field).join(", ");
  lines.push({ field: "disputed", from: disputed(before), to: disputed(after) });
  return lines.filter(({ from, to }) => from !== to);
}
