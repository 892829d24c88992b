import { duration, element, metricName, percent, significant } from "./format.js";

// What was measured before winners were chosen, and how noisy the device was.
function certification(found) {
  if (!found) return "not yet";
  if (found.state !== "measured") return found.state;
  const noise = `${(100 * found.noise).toFixed(1)} %`;
  return `${found.spent} measurements of candidates, noise ${noise}`;
}

// What the devices lack, and how much of the space that leaves out.
function operatorCheck(found) {
  const dropped = percent(found.dropped_share, 0);
  return `${dropped} of the space needs ${found.unsupported_operators.join(", ")}: dropped`;
}

const HELD = {
  reference: "p50 in the device's reference state",
  observed: "p90 of everything that was observed",
  sustained: "p50 after minutes of load",
};

// How each table was measured, and the command for a better one.
function steadiness(cards) {
  return cards.map((card) => [
    `Table ${card.precision}: ${card.verdict}`,
    card.mend ? `${card.text}. Mend it with: ${card.mend}` : card.text,
  ]);
}

export function showFacts(search) {
  const { spec, facts } = search;
  const limit =
    facts.limit_ms == null ? "not settled yet" : `${significant(facts.limit_ms)} ms (${facts.limit_source})`;
  const shown = [
    ["State", search.state],
    ["Data set", spec.dataset, `/datasets/${encodeURIComponent(spec.dataset)}`],
    ...(facts.notes || []).map((note) => ["Note", note]),
    ["Space", spec.space],
    ["Device", spec.device],
    ["Maximises", metricName(spec.metric)],
    ["Latency limit", limit],
    ["Limit holds with", `${spec.limit_probability}, as measured`],
    ["Limit is held against", HELD[spec.limit_on || "reference"]],
    ["Certification", certification(facts.certification)],
    ["Sampler", spec.sampler],
    ["Seed", spec.seed],
    ...(facts.operator_check ? [["Operator check", operatorCheck(facts.operator_check)]] : []),
    ["Tables", (facts.tables || []).join(", ") || "none yet"],
    ...steadiness(facts.steadiness || []),
    ...(facts.test_part?.text ? [["Test part", facts.test_part.text]] : []),
  ];
  document.getElementById("facts").replaceChildren(
    ...shown.map(([name, text, href]) => {
      const told = href ? { children: [element("a", { text, href })] } : { text };
      return element("div", { children: [element("dt", { text: name }), element("dd", told)] });
    }),
  );
}

export function showProgress(search, progress) {
  document.getElementById("bar").value = progress.progress;
  document.getElementById("percent").textContent = percent(progress.progress, 0);
  const left = progress.eta_s == null ? "" : `, about ${duration(progress.eta_s)} left`;
  document.getElementById("stage").textContent = `${progress.state}: ${progress.message}${left}`;
}
