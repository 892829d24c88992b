// One data set: what its import understood, set aside and found worth a look.

import { poll, read } from "./api.js";
import { element, showMessage } from "./format.js";

const { dataset: name } = document.querySelector("main").dataset;
const PARTS = ["train", "validation", "test"];
const cell = (text, className) => element("td", { text, className });

function fill(id, sentences, none) {
  const items = sentences.length ? sentences : [none];
  const list = document.getElementById(id);
  list.replaceChildren(...items.map((text) => element("li", { text })));
}

function showFacts(dataset) {
  const { facts } = dataset;
  const rows = [
    ["Layout", facts.report?.layout ?? "unknown"],
    ["Stored", `${facts.size}x${facts.size} pixels, ${facts.channels === 1 ? "grey" : "RGB"}`],
    ["Pictures", `${facts.n_train} training, ${facts.n_validation} validation, ${facts.n_test} test`],
    ["Digest", dataset.digest],
  ];
  const items = rows.flatMap(([term, text]) => [
    element("dt", { text: term }),
    element("dd", { text }),
  ]);
  document.getElementById("facts").replaceChildren(...items);
}

function showClasses(classes, counts) {
  const rows = classes.map((one) =>
    element("tr", {
      children: [cell(one), ...PARTS.map((part) => cell(counts[part]?.[one] ?? 0, "number"))],
    }),
  );
  document.querySelector("#classes tbody").replaceChildren(...rows);
}

function showAside(records) {
  const rows = records.map((one) => {
    const more = one.n > one.names.length ? ", ..." : "";
    return element("tr", {
      children: [cell(one.reason), cell(one.n, "number"), cell(one.names.join(", ") + more)],
    });
  });
  if (!rows.length) {
    const none = cell("nothing");
    none.colSpan = 3;
    rows.push(element("tr", { children: [none] }));
  }
  document.querySelector("#aside tbody").replaceChildren(...rows);
}

async function look() {
  const { body: dataset } = await read(`/v1/datasets/${encodeURIComponent(name)}`);
  if (!dataset.digest) {
    showMessage(new Error("being imported"));
    return true;
  }
  showFacts(dataset);
  const report = dataset.facts.report ?? { reading: [], notes: [], counts: {}, set_aside: [] };
  fill("reading", report.reading, "it was imported before reports were kept");
  fill("notes", report.notes, "nothing");
  showClasses(dataset.facts.classes, report.counts);
  showAside(report.set_aside);
  return false;
}

poll(look, { everyMs: 2000, onError: (error) => error && showMessage(error) });
