// Accuracy, or the search's metric, against latency: predicted points hollow, measured ones solid, a
// line from one to the other, and steps along the measured front.

import { metricName, metricSpread, metricUnit, metricValue, showScoresAs } from "./format.js";

/* global Plotly */
const colours = { fp32: "#1f5fbf", int8: "#c2571a" };
const colour = (precision) => colours[precision] || "#5b6878";

function predicted(points, precision) {
  const own = points.filter((one) => one.precision === precision);
  return {
    name: `predicted, ${precision}`,
    mode: "markers",
    type: "scatter",
    x: own.map((one) => one.predicted_latency_ms),
    y: own.map((one) => metricValue(one.predicted_accuracy)),
    marker: { symbol: "circle-open", size: 10, color: colour(precision), line: { width: 2 } },
    hovertemplate: `predicted %{y:.4~g} ${metricUnit()} at %{x:.3f} ms<extra></extra>`,
  };
}

function dominated(points) {
  return {
    name: "dominated or over the limit",
    mode: "markers",
    type: "scatter",
    x: points.map((one) => one.predicted_latency_ms),
    y: points.map((one) => metricValue(one.predicted_accuracy)),
    marker: { symbol: "circle-open", size: 5, color: "#b8c2ce" },
    hovertemplate: `predicted %{y:.4~g} ${metricUnit()} at %{x:.3f} ms<extra></extra>`,
  };
}

function measured(points, precision, published) {
  const own = points.filter((one) => one.precision === precision && one.published === published);
  return {
    name: `${published ? "measured" : "refused"}, ${precision}`,
    mode: "markers",
    type: "scatter",
    x: own.map((one) => one.measured_latency_ms),
    y: own.map((one) => metricValue(one.measured_accuracy)),
    error_y: {
      type: "data",
      array: own.map((one) => metricSpread(one.measured_accuracy_standard_error)),
      thickness: 1,
      color: colour(precision),
    },
    marker: { symbol: published ? "circle" : "x", size: published ? 11 : 9, color: colour(precision) },
    text: own.map((one) => `winner ${one.rank}${one.reason ? `: ${one.reason}` : ""}`),
    hovertemplate: `%{text}<br>measured %{y:.4~g} ${metricUnit()} at %{x:.3f} ms<extra></extra>`,
  };
}

function links(points) {
  const x = [];
  const y = [];
  for (const one of points) {
    x.push(one.predicted_latency_ms, one.measured_latency_ms, null);
    y.push(metricValue(one.predicted_accuracy), metricValue(one.measured_accuracy), null);
  }
  return { x, y, mode: "lines", type: "scatter", line: { width: 1, color: "#9aa6b4", dash: "dot" }, hoverinfo: "skip", showlegend: false };
}

// Files that no faster one is as accurate as, as steps: what is to be had for how many milliseconds.
function measuredFront(points) {
  const own = points.filter((one) => one.on_front).sort((a, b) => a.measured_latency_ms - b.measured_latency_ms);
  return {
    name: "measured front",
    mode: "lines",
    type: "scatter",
    x: own.map((one) => one.measured_latency_ms),
    y: own.map((one) => metricValue(one.measured_accuracy)),
    line: { shape: "hv", width: 1.5, color: "#2e7d4f" },
    hoverinfo: "skip",
  };
}

export function drawFront(front) {
  showScoresAs(front.metric_scale);
  const note = document.getElementById("front-note");
  if (!front.front.length && !front.dominated.length) {
    note.textContent = "No points yet.";
    return;
  }
  note.textContent =
    `Revision ${front.revision}: ${front.front.length} predicted front points of ` +
    `${front.n_evaluations} queries, ${front.measured.length} measured files.`;
  const precisions = [...new Set([...front.front, ...front.measured].map((one) => one.precision))].sort();
  const traces = [
    dominated(front.dominated),
    links(front.measured),
    measuredFront(front.measured),
    ...precisions.map((one) => predicted(front.front, one)),
    ...precisions.map((one) => measured(front.measured, one, true)),
    ...precisions.map((one) => measured(front.measured, one, false)),
  ].filter((trace) => trace.x.length);
  const layout = {
    margin: { l: 60, r: 20, t: 10, b: 50 },
    xaxis: { title: { text: "latency, ms (p50)" }, rangemode: "tozero", gridcolor: "#e8ecf1", zeroline: false },
    yaxis: { title: { text: `${metricName(front.metric)}, ${metricUnit()}` }, gridcolor: "#e8ecf1", zeroline: false },
    legend: { orientation: "h", y: -0.2 },
    hovermode: "closest",
    plot_bgcolor: "#ffffff",
    shapes: [
      { type: "line", x0: front.limit_ms, x1: front.limit_ms, yref: "paper", y0: 0, y1: 1, line: { color: "#b3261e", width: 1, dash: "dash" } },
    ],
    annotations: [
      { x: front.limit_ms, yref: "paper", y: 1, text: "limit", showarrow: false, xanchor: "left", font: { color: "#b3261e" } },
    ],
  };
  Plotly.react("front", traces, layout, { responsive: true, displaylogo: false });
}
