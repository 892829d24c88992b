// Reads the REST API. A resource that has not changed is answered with 304 and costs nothing.

const known = new Map(); // path -> { tag, body }

export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title || "the service gave no reason");
    this.status = document.status;
  }
}

// The decoded answer, and whether it differs from the last one.
export async function read(path) {
  const before = known.get(path);
  const headers = before?.tag ? { "If-None-Match": before.tag } : {};
  const response = await fetch(path, { headers, cache: "no-store" });
  if (response.status === 304) {
    return { body: before.body, changed: false };
  }
  const body = await response.json();
  if (!response.ok) {
    throw new Problem(body);
  }
  known.set(path, { tag: response.headers.get("ETag"), body });
  return { body, changed: true };
}

// Sends a file, or a document as JSON; `onSent` is told the share that has gone.
export function send(path, content, onSent = () => {}) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.upload.addEventListener("progress", ({ loaded, total }) => onSent(loaded / total));
    request.addEventListener("load", () => {
      const body = JSON.parse(request.responseText);
      if (request.status < 400) done(body);
      else failed(new Problem(body));
    });
    request.addEventListener("error", () => failed(new Error("the service did not answer")));
    const isFile = content instanceof Blob;
    if (!isFile) request.setRequestHeader("Content-Type", "application/json");
    request.send(isFile ? content : JSON.stringify(content));
  });
}

// Calls `look` again and again until it says that nothing more will come.
// A hidden page waits; an error is shown and looked past.
export async function poll(look, { everyMs, onError }) {
  for (;;) {
    if (!document.hidden) {
      try {
        const more = await look();
        onError(null);
        if (!more) return;
      } catch (error) {
        onError(error);
        if (error.status === 404) return;
      }
    }
    await new Promise((done) => setTimeout(done, everyMs));
  }
}
