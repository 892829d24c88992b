// Measured against predicted latency: on the line where a prediction was right.

import { ink, onScheme } from "./colours.js";

/* global Plotly */
function draw() {
  const rows = [...document.querySelectorAll("#points tbody tr")];
  if (!rows.length || !document.getElementById("calibration")) return;
  const of = (name) => rows.map((row) => Number(row.dataset[name]));
  const [predicted, measured, upper] = ["predicted", "measured", "upper"].map(of);
  const most = Math.max(...predicted, ...measured) * 1.05;
  const traces = [
    { x: [0, most], y: [0, most], mode: "lines", name: "as predicted", line: { color: ink("--soft"), dash: "dot" }, hoverinfo: "skip" },
    {
      x: predicted,
      y: measured,
      mode: "markers",
      name: "measured",
      marker: { color: ink("--accent"), size: 9 },
      error_x: { type: "data", symmetric: false, array: upper.map((one, i) => Math.max(0, one - predicted[i])), arrayminus: upper.map(() => 0), thickness: 1, color: ink("--faint") },
      hovertemplate: "predicted %{x:.4~g} ms, measured %{y:.4~g} ms<extra></extra>",
    },
  ];
  const axis = { gridcolor: ink("--line"), color: ink("--ink"), rangemode: "tozero", zeroline: false };
  const layout = {
    margin: { l: 60, r: 20, t: 10, b: 50 },
    xaxis: { ...axis, title: { text: "predicted latency, ms" } },
    yaxis: { ...axis, title: { text: "measured latency, ms" } },
    paper_bgcolor: ink("--paper"),
    plot_bgcolor: ink("--paper"),
    legend: { orientation: "h", y: -0.2, font: { color: ink("--ink") } },
  };
  Plotly.react("calibration", traces, layout, { responsive: true, displayModeBar: false });
}
const drawn = () => (window.Plotly ? draw() : setTimeout(drawn, 50));
drawn();
onScheme(draw);
document.addEventListener("refreshed", () => {
  if (document.getElementById("calibration")?.childElementCount === 0) draw();
});
