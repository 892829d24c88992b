import { element, kilobytes, metricName, metricText, percent, significant } from "./format.js";

// A deployment's name may end in a recipe, whose weights are its own: `int8+qat`.
function prefix(precision) {
  const recipe = precision.split("+").slice(1).join("+");
  return recipe ? `${recipe}.` : "";
}

const cell = (text, className) => element("td", { text, className });

function files(winner, precision, file) {
  const links = [file || `${precision}.onnx`, `${prefix(precision)}weights.pt`, "architecture.json"]
    .filter((name) => winner.artifacts[name])
    .flatMap((name) => [
      element("a", { text: name, href: `/v1/artifacts/${winner.artifacts[name]}/content` }),
      " ",
    ]);
  return element("td", { children: links });
}

function accuracy(row) {
  if (row.measured_accuracy == null) return "not measured";
  if (row.measured_metric) return row.measured_metric;
  const error = 100 * row.measured_accuracy_standard_error;
  return `${(100 * row.measured_accuracy).toFixed(1)} ± ${error.toFixed(1)} %`;
}

function latency(row) {
  if (row.measured_latency_ms == null) return "not measured";
  const most = row.certificate?.at_most_ms;
  if (most != null) return `at most ${significant(most)}`;
  const bounds = row.certificate?.measured_interval_ms;
  const held = bounds ? ` (${significant(bounds[0])} to ${significant(bounds[1])})` : "";
  return `${significant(row.measured_latency_ms)}${held}`;
}

// What was seen in whatever state the machine was, beside the state that the latency holds in.
function observed(row) {
  const seen = row.latency;
  if (!seen || seen.observed_p90_ms == null) return "unknown";
  const share = seen.state_share == null ? "" : ` (${percent(seen.state_share, 0)})`;
  return `${significant(seen.observed_p50_ms)} / ${significant(seen.observed_p90_ms)}${share}`;
}

function ties(row) {
  if (row.tied_with == null) return "";
  return row.tied_with.length ? `winner ${row.tied_with.join(", ")}` : "none";
}

// A published file is on the measured front unless another one is as accurate for less.
function front(row) {
  if (row.on_front == null) return "";
  const better = row.outdone_by;
  return better ? `outdone by winner ${better.rank} ${better.precision}` : "yes";
}

function measuredRow(winner, row) {
  return element("tr", {
    children: [
      cell(String(row.rank)),
      cell(row.precision),
      cell(metricText(row.predicted_accuracy), "number"),
      cell(accuracy(row), "number"),
      cell(ties(row)),
      cell(significant(row.predicted_latency_ms), "number"),
      cell(latency(row), "number"),
      cell(observed(row), "number"),
      cell(kilobytes(row.measured_size_bytes), "number"),
      cell(row.verdict, row.verdict === "certified" ? "good" : "bad"),
      cell(row.published ? "published" : `refused: ${row.reason}`, row.published ? "good" : "bad"),
      cell(front(row), row.on_front ? "good" : ""),
      files(winner, row.precision, row.file),
    ],
  });
}

function pendingRow(winner, [precision, estimate]) {
  const state = winner.problem ? `failed: ${winner.problem.detail}` : winner.state;
  return element("tr", {
    children: [
      cell(String(winner.rank)),
      cell(precision),
      cell(metricText(estimate.predicted_accuracy), "number"),
      cell("not measured", "number"),
      cell(""),
      cell(significant(estimate.predicted_latency_ms), "number"),
      cell("not measured", "number"),
      cell(""),
      cell(kilobytes(estimate.size_bytes), "number"),
      cell(""),
      cell(state, winner.problem ? "bad" : ""),
      cell(""),
      files(winner, precision),
    ],
  });
}

export function showWinners(winners, metric) {
  const name = metricName(metric);
  document.getElementById("metric").textContent = name[0].toUpperCase() + name.slice(1);
  const rows = winners.flatMap((winner) =>
    winner.results.length
      ? winner.results.map((row) => measuredRow(winner, row))
      : Object.entries(winner.estimates).map((entry) => pendingRow(winner, entry)),
  );
  if (!rows.length) {
    const none = cell("Winners are chosen when the queries are done.");
    none.colSpan = 13;
    rows.push(element("tr", { children: [none] }));
  }
  document.querySelector("#winners tbody").replaceChildren(...rows);
}

export function showBundle(artifacts) {
  const links = artifacts.flatMap((one) => [
    element("a", { text: one.name, href: `/v1/artifacts/${one.id}/content` }),
    " ",
  ]);
  document.getElementById("bundle").replaceChildren(...(links.length ? ["All together: ", ...links] : []));
}
