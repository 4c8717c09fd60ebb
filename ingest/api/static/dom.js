// The only way in which elements are made: whatever comes from outside becomes text, never markup.

const ATTRIBUTES = new Set([
  "class", "id", "type", "name", "value", "for", "role", "tabindex", "title", "list", "min", "max", "step", "maxlength",
  "placeholder", "autocomplete", "datetime", "lang", "dir", "hidden", "checked", "open", "scope", "colspan", "disabled",
]);

/** An element; `on` holds listeners, children that are no nodes become text, null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (ATTRIBUTES.has(name) || /^(aria|data)-[a-z-]+$/.test(name)) {
      element.setAttribute(name, value === true ? "" : String(value));
    } else {
      throw new Error(`attribute ${name} is not one that this page sets`);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The address if a browser may follow it: http or https, nothing else. */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** A link to an article, or only its words where the address is none to follow. */
export function outward(text, url, attributes = {}) {
  const address = webAddress(url);
  if (address === null) return h("span", attributes, text);
  const link = h("a", attributes, text);
  link.href = address;
  link.rel = "noopener noreferrer";
  link.target = "_blank";
  link.referrerPolicy = "no-referrer";
  return link;
}

/** A link within this page. */
export function inward(search, attributes = {}, ...children) {
  const link = h("a", attributes, ...children);
  link.href = `/${search}`;
  return link;
}

// As in the command line: controls, bidirectional overrides and invisible tags can disguise what follows. One for one.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const SPACES = new Set("\t\n\v\f\r\u0085\u2028\u2029");

/** `text` with what could disguise its neighbours replaced, code point for code point, so that offsets still hold. */
export function plain(text) {
  return String(text ?? "").replace(UNSAFE, (found) => (SPACES.has(found) ? " " : "\ufffd"));
}

/** Words of others, kept apart from the reading direction of what is around. */
export function quoted(text, tag = "bdi", attributes = {}) {
  return h(tag, { dir: "auto", ...attributes }, plain(text));
}

/** Tell a screen reader. */
export function say(text) {
  document.getElementById("said").textContent = text;
}
