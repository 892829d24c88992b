import { poll, read } from "./api.js";
import { element, showMessage, significant, when } from "./format.js";

const body = document.querySelector("#searches tbody");

function row(search) {
  const cell = (text, className) => element("td", { text, className });
  const link = element("a", { text: search.id, href: `/searches/${search.id}` });
  return element("tr", {
    children: [
      element("td", { children: [link] }),
      cell(search.state),
      element("td", {
        children: [
          element("a", {
            text: search.spec.dataset,
            href: `/datasets/${encodeURIComponent(search.spec.dataset)}`,
          }),
        ],
      }),
      cell(search.spec.space),
      cell(search.spec.device),
      cell(search.facts.limit_ms == null ? "" : significant(search.facts.limit_ms), "number"),
      cell(search.facts.n_published ?? "", "number"),
      cell(when(search.created_at)),
    ],
  });
}

async function look() {
  const { body: page } = await read("/v1/searches?limit=100");
  body.replaceChildren(...page.items.map(row));
  if (!page.items.length) {
    const text = "No searches yet. Start one with: nas search --dataset PATH";
    const cell = element("td", { text });
    cell.colSpan = 8;
    body.replaceChildren(element("tr", { children: [cell] }));
  }
  return true;
}

poll(look, { everyMs: 3000, onError: showMessage });
