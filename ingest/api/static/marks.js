// The words that bear an event out, within its sentence. Offsets of records count code points, strings here UTF-16.

export const ROLES = ["trigger", "actor", "recipient", "place", "date", "dead", "injured", "source"];

const FIELDS = [
  ["trigger", "trigger"], ["actors", "actor"], ["recipients", "recipient"], ["location", "place"], ["date", "date"],
  ["dead", "dead"], ["injured", "injured"], ["claimed_by", "source"],
];

/** Every span of an event with its role, in the order of ROLES. */
export function spansOf(event) {
  return FIELDS.flatMap(([field, role]) => [event[field] ?? []].flat().map((span) => ({ role, ...span })));
}

/** The text in pieces, each with the roles that cover it; `spans` count code points from `offset` on. */
export function pieces(text, spans, offset = 0) {
  const points = Array.from(text);
  const clip = (at) => Math.min(Math.max(at - offset, 0), points.length);
  const within = spans
    .map(({ role, start, end }) => ({ role, start: clip(start), end: clip(end) }))
    .filter(({ start, end }) => start < end);
  const cuts = [...new Set([0, points.length, ...within.flatMap(({ start, end }) => [start, end])])].sort((a, b) => a - b);
  return cuts.slice(1).map((end, at) => ({
    text: points.slice(cuts[at], end).join(""),
    roles: [...new Set(within.filter((span) => span.start <= cuts[at] && end <= span.end).map((span) => span.role))],
  }));
}

/** The event's sentence in pieces, and the spans that lie outside of it (in the title, or in another sentence). */
export function evidence(event) {
  const { sentence } = event;
  const inside = (span) => span.field === sentence.field && span.start < sentence.end && span.end > sentence.start;
  const spans = spansOf(event);
  return {
    pieces: pieces(sentence.text, spans.filter(inside), sentence.start),
    elsewhere: spans.filter((span) => !inside(span)),
  };
}
