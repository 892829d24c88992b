// How each measured file tells classes apart: means over classes, the worst ones, the confusion matrix.

import { element, percent } from "./format.js";

const WORST = 3;

const cell = (text, className) => element("td", { text, className });

function worst(recall) {
  return Object.entries(recall)
    .filter(([, share]) => share != null)
    .sort(([, a], [, b]) => a - b)
    .slice(0, WORST)
    .map(([name, share]) => `${name} ${percent(share, 0)}`)
    .join(", ");
}

function row(one) {
  const told = one.classification;
  return element("tr", {
    children: [
      cell(String(one.rank)),
      cell(one.precision),
      cell(percent(told.accuracy), "number"),
      cell(percent(told.balanced_accuracy), "number"),
      cell(percent(told.macro_f1), "number"),
      cell(worst(told.recall)),
    ],
  });
}

// A row for each true class, a column for each class that was named.
function confusion(one) {
  const { recall, confusion: counts } = one.classification;
  const names = Object.keys(recall);
  const head = ["true \\ named", ...names].map((text) => element("th", { text }));
  const lines = counts.map((own, number) =>
    element("tr", {
      children: [element("th", { text: names[number] }), ...own.map((count) => cell(String(count), "number"))],
    }),
  );
  const table = element("table", {
    children: [
      element("thead", { children: [element("tr", { children: head })] }),
      element("tbody", { children: lines }),
    ],
  });
  return element("details", {
    children: [
      element("summary", { text: `Confusion matrix of winner ${one.rank}, ${one.precision}` }),
      element("div", { className: "scroll", children: [table] }),
    ],
  });
}

export function showClasses(winners) {
  const measured = winners.flatMap((one) => one.results).filter((one) => one.classification?.accuracy != null);
  document.getElementById("classes-section").hidden = !measured.length;
  document.querySelector("#classes tbody").replaceChildren(...measured.map(row));
  const place = document.getElementById("confusions");
  const drawn = measured.filter((one) => one.classification.confusion);
  if (place.childElementCount !== drawn.length) place.replaceChildren(...drawn.map(confusion)); // opened ones stay open
}
