// Candidates in the plane of any two quantities: predicted ones hollow, with what they may be off;
// measured ones solid; a line from one to the other; steps along the measured front.

import { ink } from "./colours.js";
import { metricName, metricSpread, metricUnit, metricValue, showScoresAs } from "./format.js";

/* global Plotly */
const PALETTE = ["#1f5fbf", "#c2571a", "#2e7d4f", "#7b3fa0", "#a0522d", "#00838f", "#8a6d00", "#ad1457"];
const SCALE = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"]; // viridis
const SCORE = "score";

// How a measured file says what a candidate is expected to have.
const MEASURED = { score: "measured_accuracy", latency_ms: "measured_latency_ms", size_bytes: "measured_size_bytes", energy_mj: "measured_energy_mj", peak_memory_bytes: "measured_peak_memory_bytes" };

const shown = (name, value) => (value == null ? null : name === SCORE ? metricValue(value) : value);
const expected = (point, name) =>
  name === SCORE ? point.predicted_accuracy : (point.estimates?.[name]?.value ?? point[name === "latency_ms" ? "predicted_latency_ms" : name]);
const bound = (point, name) => (name === SCORE ? null : point.estimates?.[name]?.upper);

function title(name, metric) {
  return name === SCORE ? `${metricName(metric)}, ${metricUnit()}` : name.replaceAll("_", " ");
}

function spread(points, name) {
  if (name === SCORE) {
    return { type: "data", array: points.map((one) => metricSpread(one.predicted_accuracy_std ?? 0)), thickness: 1, width: 0 };
  }
  const more = points.map((one) => Math.max(0, (bound(one, name) ?? expected(one, name)) - expected(one, name)));
  return { type: "data", symmetric: false, array: more, arrayminus: more.map(() => 0), thickness: 1, width: 0 };
}

function predicted(points, precision, colour, view) {
  const own = points.filter((one) => one.precision === precision);
  return {
    name: `predicted, ${precision}`,
    mode: "markers",
    type: "scatter",
    x: own.map((one) => shown(view.x, expected(one, view.x))),
    y: own.map((one) => shown(view.y, expected(one, view.y))),
    error_x: { ...spread(own, view.x), color: colour },
    error_y: { ...spread(own, view.y), color: colour },
    customdata: own.map((one) => one.index),
    marker: { symbol: "circle-open", size: 10, color: colour, line: { width: 2 } },
    hovertemplate: `predicted %{y:.4~g} at %{x:.4~g}<br>candidate %{customdata}<extra></extra>`,
  };
}

function dominated(cloud, view, front) {
  const members = new Set(front.front.map((one) => one.index));
  const rows = cloud.index.map((_, row) => row).filter((row) => !members.has(cloud.index[row]) && (!view.feasible || cloud.keeps_limits[row]));
  const pick = (values) => rows.map((row) => values[row]);
  const byColour = cloud.colour && {
    color: pick(cloud.colour),
    colorscale: SCALE.map((colour, i) => [i / (SCALE.length - 1), colour]),
    showscale: false, // its bar brings inline styles, which the content policy forbids
  };
  return {
    name: "dominated or over the limit",
    mode: "markers",
    type: "scatter",
    x: pick(cloud.x).map((value) => shown(view.x, value)),
    y: pick(cloud.y).map((value) => shown(view.y, value)),
    customdata: pick(cloud.index),
    text: pick(cloud.stands_for).map((n) => (n > 1 ? `stands for ${n}` : "")),
    marker: { symbol: "circle-open", size: 5, color: ink("--faint"), ...byColour },
    hovertemplate: "predicted %{y:.4~g} at %{x:.4~g}<br>candidate %{customdata} %{text}<extra></extra>",
  };
}

function measured(points, precision, published, colour, view) {
  const own = points.filter((one) => one.precision === precision && one.published === published);
  return {
    name: `${published ? "measured" : "refused"}, ${precision}`,
    mode: "markers",
    type: "scatter",
    x: own.map((one) => shown(view.x, one[MEASURED[view.x]])),
    y: own.map((one) => shown(view.y, one[MEASURED[view.y]])),
    error_y:
      view.y === SCORE
        ? { type: "data", array: own.map((one) => metricSpread(one.measured_accuracy_standard_error)), thickness: 1, color: colour }
        : undefined,
    marker: { symbol: published ? "circle" : "x", size: published ? 11 : 9, color: colour },
    text: own.map((one) => `winner ${one.rank}${one.reason ? `: ${escaped(one.reason)}` : ""}`),
    hovertemplate: "%{text}<br>measured %{y:.4~g} at %{x:.4~g}<extra></extra>",
  };
}

// Hovers are drawn as markup: what came from elsewhere is text in them.
const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function links(points, view) {
  const x = [];
  const y = [];
  for (const one of points) {
    x.push(shown(view.x, expected(one, view.x)), shown(view.x, one[MEASURED[view.x]]), null);
    y.push(shown(view.y, expected(one, view.y)), shown(view.y, one[MEASURED[view.y]]), null);
  }
  return { x, y, mode: "lines", type: "scatter", line: { width: 1, color: ink("--soft"), dash: "dot" }, hoverinfo: "skip", showlegend: false };
}

// Files that no cheaper one is as good as, as steps: what is to be had for how much.
function measuredFront(points, view) {
  const own = points.filter((one) => one.on_front && one[MEASURED[view.x]] != null).sort((a, b) => a[MEASURED[view.x]] - b[MEASURED[view.x]]);
  return {
    name: "measured front",
    mode: "lines",
    type: "scatter",
    x: own.map((one) => shown(view.x, one[MEASURED[view.x]])),
    y: own.map((one) => shown(view.y, one[MEASURED[view.y]])),
    line: { shape: "hv", width: 1.5, color: ink("--good") },
    hoverinfo: "skip",
  };
}

function limitOf(front, name) {
  return name === "latency_ms" ? front.limit_ms : front.limits?.[name];
}

function layoutOf(front, view) {
  const axis = { gridcolor: ink("--line"), zeroline: false, color: ink("--ink") };
  const limit = limitOf(front, view.x);
  const log = view.scale === "log" && view.x !== SCORE;
  return {
    margin: { l: 60, r: 20, t: 10, b: 50 },
    xaxis: { ...axis, title: { text: title(view.x, front.metric) }, type: log ? "log" : "linear", rangemode: log ? "normal" : "tozero" },
    yaxis: { ...axis, title: { text: title(view.y, front.metric) } },
    legend: { orientation: "h", y: -0.2, font: { color: ink("--ink") } },
    hovermode: "closest",
    paper_bgcolor: ink("--paper"),
    plot_bgcolor: ink("--paper"),
    uirevision: `${view.x} ${view.y} ${view.scale}`, // a zoom stays while points come
    shapes: limit ? [{ type: "line", x0: limit, x1: limit, yref: "paper", y0: 0, y1: 1, line: { color: ink("--bad"), width: 1, dash: "dash" } }] : [],
    annotations: limit ? [{ x: log ? Math.log10(limit) : limit, yref: "paper", y: 1, text: "limit", showarrow: false, xanchor: "left", font: { color: ink("--bad") } }] : [],
  };
}

export function drawPlot(place, front, cloud, view, choose) {
  showScoresAs(front.metric_scale);
  const node = document.getElementById(place);
  if (!front.front.length && !cloud.index.length && !front.measured.length) return;
  const within = (one) => view.limits.every(([name, most]) => !(expected(one, name) > most));
  const members = front.front.filter(within);
  const precisions = [...new Set([...members, ...front.measured].map((one) => one.precision))].sort();
  const colour = Object.fromEntries(precisions.map((one, i) => [one, PALETTE[i % PALETTE.length]]));
  const both = view.x in MEASURED && view.y in MEASURED;
  const traces = [
    dominated(cloud, view, { front: members }),
    ...(both ? [links(front.measured, view), measuredFront(front.measured, view)] : []),
    ...precisions.map((one) => predicted(members, one, colour[one], view)),
    ...(both ? precisions.flatMap((one) => [true, false].map((published) => measured(front.measured, one, published, colour[one], view))) : []),
  ].filter((trace) => trace.x.length);
  // its tool bar brings rules of its own by script, which the content policy forbids
  const options = { responsive: true, displayModeBar: false };
  Plotly.react(place, traces, layoutOf(front, view), options);
  drawScale(cloud, view, front.metric);
  node.removeAllListeners?.("plotly_click");
  node.on("plotly_click", ({ points }) => {
    if (points[0].customdata != null) choose(points[0].customdata);
  });
}

// What the colours mean, from the least to the greatest value.
function drawScale(cloud, view, metric) {
  const place = document.getElementById("scale");
  place.hidden = !cloud.colour?.length;
  if (place.hidden) return;
  const values = cloud.colour.map((value) => shown(view.colour, value));
  place.querySelector("[data-name]").textContent = title(view.colour, metric);
  place.querySelector("[data-low]").textContent = Math.min(...values).toPrecision(3);
  place.querySelector("[data-high]").textContent = Math.max(...values).toPrecision(3);
}

// What the tool bar would do, for buttons of the page.
export const savePicture = (place, name) => Plotly.downloadImage(place, { format: "png", filename: name, scale: 2 });
export const showAll = (place) => Plotly.relayout(place, { "xaxis.autorange": true, "yaxis.autorange": true });

// A ring around one candidate, wherever it is shown.
export function markCandidate(place, cloud, front, view, index) {
  const member = front.front.find((one) => one.index === index);
  const row = cloud.index.indexOf(index);
  if (!member && row < 0) return;
  const x = shown(view.x, member ? expected(member, view.x) : cloud.x[row]);
  const y = shown(view.y, member ? expected(member, view.y) : cloud.y[row]);
  const layout = layoutOf(front, view);
  const at = view.scale === "log" && view.x !== SCORE ? Math.log10(x) : x;
  Plotly.relayout(place, { annotations: [...layout.annotations, { x: at, y, text: `candidate ${index}`, arrowcolor: ink("--accent"), font: { color: ink("--accent") } }] });
}
