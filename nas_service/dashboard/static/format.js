// Numbers and elements as people read them.

export const percent = (share, digits = 1) =>
  share == null ? "unknown" : `${(100 * share).toFixed(digits)} %`;

export const significant = (value, digits = 3) =>
  value == null ? "unknown" : Number(value).toPrecision(digits);

// A metric's name as people write it.
export const metricName = (name) => (name === "macro_f1" ? "macro F1" : (name || "accuracy").replace("_", " "));

// How scores of the search's metric are shown: shares in percent, others as values with their unit.
let scale = null;

export const showScoresAs = (given) => {
  scale = given || null;
};

export const metricUnit = () => (scale && scale.unit) || "%";

export const metricValue = (score) =>
  scale && scale.unit ? scale.worst + score * (scale.best - scale.worst) : 100 * score;

export const metricSpread = (error) => (scale && scale.unit ? error * Math.abs(scale.best - scale.worst) : 100 * error);

export const metricText = (score) => {
  if (score == null) return "unknown";
  const value = metricValue(score);
  return scale && scale.unit ? `${value.toPrecision(4)} ${scale.unit}` : `${value.toFixed(1)} %`;
};

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
