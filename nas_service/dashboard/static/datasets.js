import { poll, read } from "./api.js";
import { element, showMessage, when } from "./format.js";

const body = document.querySelector("#datasets tbody");

function row(dataset) {
  const { facts } = dataset;
  const cell = (text, className) => element("td", { text, className });
  const link = element("a", {
    text: dataset.name,
    href: `/datasets/${encodeURIComponent(dataset.name)}`,
  });
  return element("tr", {
    children: [
      element("td", { children: [link] }),
      cell(facts.report?.layout ?? (dataset.digest ? "unknown" : "being imported")),
      cell(facts.classes?.length ?? "", "number"),
      cell(facts.size ?? "", "number"),
      cell(facts.n_train ?? "", "number"),
      cell(facts.n_validation ?? "", "number"),
      cell(facts.n_test ?? "", "number"),
      cell(dataset.digest ? when(dataset.created_at) : ""),
    ],
  });
}

async function look() {
  const { body: page } = await read("/v1/datasets?limit=100");
  body.replaceChildren(...page.items.map(row));
  if (!page.items.length) {
    const cell = element("td", { text: "No data sets yet. Add one with: nas datasets add NAME PATH" });
    cell.colSpan = 8;
    body.replaceChildren(element("tr", { children: [cell] }));
  }
  return true;
}

poll(look, { everyMs: 3000, onError: showMessage });
