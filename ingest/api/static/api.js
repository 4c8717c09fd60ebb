// The API: JSON, the key, and the live stream.

import { parser } from "./sse.js";

const STORED = "conflictwire.key";
const PATIENCE = 30; // answers of "not yet" before an error is shown
const LONGEST_WAIT = 15_000; // milliseconds between two tries
const SILENT = 40_000; // milliseconds; the server says something every 15 s

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });

/** Access to the API. `askKey(refused)` asks a person for a key; `waiting(why)` is told while the server is not ready. */
export function createApi({ askKey, waiting }) {
  let asking = null;

  const stored = () => sessionStorage.getItem(STORED);

  async function request(path, parameters, { signal, headers = {} } = {}) {
    const search = parameters?.size ? `?${parameters}` : "";
    for (let tries = 0; ; tries++) {
      const key = stored();
      const sent = key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
      const response = await fetch(`/v1/${path}${search}`, { headers: sent, signal, credentials: "omit" });
      if (response.ok) return response;
      const why = await response.json().then((body) => body.error, () => response.statusText);
      if (response.status === 401) {
        if (stored() === key) {
          asking ??= askKey(Boolean(key)).then((given) => sessionStorage.setItem(STORED, given)).finally(() => { asking = null; });
          await asking;
        }
        tries = 0;
      } else if ([429, 503].includes(response.status) && tries < PATIENCE) {
        waiting(why);
        await sleep(1000 * Math.min(Number(response.headers.get("Retry-After")) || 1, 10), signal);
      } else {
        throw new ApiError(response.status, why);
      }
    }
  }

  return {
    /** The answer of `/v1/PATH`. Raises ApiError; a TypeError where the server cannot be reached. */
    async get(path, parameters, signal) {
      return (await request(path, parameters, { signal })).json();
    },

    /** Follow the stream until `signal` ends it, again after every failure: `onRecord(record)`, `onState("live" | "lost")`. */
    async follow(parameters, { signal, onRecord, onState }) {
      let last = null;
      for (let tries = 0; !signal.aborted; tries++) {
        const attempt = new AbortController();
        const end = () => attempt.abort();
        signal.addEventListener("abort", end, { once: true });
        let timer = null;
        const alive = () => { clearTimeout(timer); timer = setTimeout(end, SILENT); };
        try {
          const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
          const response = await request("stream", parameters, { signal: attempt.signal, headers });
          onState("live");
          tries = 0;
          const feed = parser(({ id, data }) => { last = id; onRecord(JSON.parse(data)); });
          const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
          alive();
          for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
            alive();
            feed(piece.value);
          }
        } catch (error) {
          if (error instanceof ApiError && error.status < 500) { onState("refused"); return; }
        } finally {
          clearTimeout(timer);
          signal.removeEventListener("abort", end);
        }
        if (signal.aborted) return;
        onState("lost");
        await sleep(Math.min(1000 * 2 ** tries, LONGEST_WAIT), signal).catch(() => undefined);
      }
    },
  };
}
