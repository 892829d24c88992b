// Every quantity of each measured file: what was predicted, its bound, what was measured, its limit.

import { element } from "./format.js";

const cell = (text, className) => element("td", { text, className });

function predicted(one) {
  if (one.predicted == null) return "unknown";
  return one.upper && one.upper !== one.predicted ? `${one.predicted} (at most ${one.upper})` : one.predicted;
}

function limit(row, name) {
  const held = name === "latency_ms" ? row.certificate : row.certificates?.[name];
  return held ? held.verdict : "";
}

function lines(row) {
  return row.quantities.map((one) => {
    const verdict = limit(row, one.name);
    return element("tr", {
      children: [
        cell(String(row.rank)),
        cell(row.precision),
        cell(one.label),
        cell(predicted(one), "number"),
        cell(one.counted ? "counted" : one.measured ?? "not measured", "number"),
        cell(verdict, verdict === "certified" ? "good" : verdict ? "bad" : ""),
      ],
    });
  });
}

export function showQuantities(winners) {
  const rows = winners.flatMap((winner) => winner.results).filter((row) => row.quantities?.length);
  document.getElementById("quantities-section").hidden = !rows.length;
  document.querySelector("#quantities tbody").replaceChildren(...rows.flatMap(lines));
}
