// Server-sent events out of the pieces of a response: EventSource can send no key.

/** A function that takes pieces of text and calls `onEvent({id, event, data})` for each event that is complete. */
export function parser(onEvent) {
  let rest = "";
  let event = { id: null, event: "message", data: [] };
  const line = (text) => {
    if (text === "") {
      if (event.data.length) onEvent({ ...event, data: event.data.join("\n") });
      event = { id: event.id, event: "message", data: [] };
      return;
    }
    const at = text.indexOf(":");
    if (at === 0) return;
    const name = at < 0 ? text : text.slice(0, at);
    const value = at < 0 ? "" : text.slice(at + 1).replace(/^ /, "");
    if (name === "data") event.data.push(value);
    else if (name === "event") event.event = value;
    else if (name === "id" && !value.includes("\0")) event.id = value;
  };
  return (piece) => {
    rest += piece;
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}
