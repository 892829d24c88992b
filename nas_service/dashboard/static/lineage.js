// From front point to certificate: a row a winner and deployment, a column a stage.

import { element, metricText, significant } from "./format.js";

const file = (stage) =>
  element("a", {
    text: stage.name,
    href: `/v1/artifacts/${stage.artifact}/content`,
  });

const told = {
  front: (s) => `${metricText(s.predicted_accuracy)}, ${significant(s.predicted_latency_ms)} ms`,
  trained: file,
  compressed: file,
  compiled: file,
  measured: (s) => `${metricText(s.accuracy)}, ${significant(s.latency_ms)} ms`,
  certified: (s) => (s.stale ? `stale: ${s.stale}` : s.verdict),
};

function cell(stage) {
  if (stage.state !== "done") return element("td", { text: stage.state, className: "pending" });
  const good = stage.stage !== "certified" || (stage.verdict === "certified" && !stage.stale);
  return element("td", {
    className: good ? "good" : "bad",
    children: [told[stage.stage](stage)],
  });
}

export function showLineage(trails) {
  document.getElementById("lineage-section").hidden = !trails.length;
  const rows = trails.map((one) =>
    element("tr", {
      children: [
        element("td", { text: String(one.rank) }),
        element("td", { text: one.deployment }),
        ...one.stages.map(cell),
      ],
    }),
  );
  document.querySelector("#lineage tbody").replaceChildren(...rows);
}
