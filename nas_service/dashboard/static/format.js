// Numbers and elements as people read them.

export const percent = (share, digits = 1) =>
  share == null ? "unknown" : `${(100 * share).toFixed(digits)} %`;

export const significant = (value, digits = 3) =>
  value == null ? "unknown" : Number(value).toPrecision(digits);

// A metric's name as people write it.
export const metricName = (name) => (name === "macro_f1" ? "macro F1" : (name || "accuracy").replace("_", " "));

export const kilobytes = (bytes) => (bytes == null ? "unknown" : (bytes / 1000).toFixed(0));

export function duration(seconds) {
  if (seconds == null) return "unknown";
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export const when = (text) => (text ? new Date(text).toLocaleString() : "");

// An element with text or children; text never becomes markup.
export function element(name, { text, className, href, children = [] } = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  if (href) made.href = href;
  made.append(...children);
  return made;
}

export function showMessage(error) {
  const place = document.getElementById("message");
  place.hidden = !error;
  place.textContent = error ? error.message : "";
}
