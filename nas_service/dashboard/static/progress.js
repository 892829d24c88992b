import { duration, element, percent, significant } from "./format.js";

export function showFacts(search) {
  const { spec, facts } = search;
  const limit =
    facts.limit_ms == null ? "not settled yet" : `${significant(facts.limit_ms)} ms (${facts.limit_source})`;
  const shown = [
    ["State", search.state],
    ["Data set", spec.dataset],
    ["Space", spec.space],
    ["Device", spec.device],
    ["Latency limit", limit],
    ["Sampler", spec.sampler],
    ["Seed", spec.seed],
    ["Tables", (facts.tables || []).join(", ") || "none yet"],
  ];
  document.getElementById("facts").replaceChildren(
    ...shown.map(([name, text]) =>
      element("div", { children: [element("dt", { text: name }), element("dd", { text })] }),
    ),
  );
}

export function showProgress(search, progress) {
  document.getElementById("bar").value = progress.progress;
  document.getElementById("percent").textContent = percent(progress.progress, 0);
  const left = progress.eta_s == null ? "" : `, about ${duration(progress.eta_s)} left`;
  document.getElementById("stage").textContent = `${progress.state}: ${progress.message}${left}`;
}
