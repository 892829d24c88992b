// A data set that is sent from the page: looked at first, or imported, with its progress.

import { send } from "./api.js";
import { refresh } from "./page.js";

const form = document.getElementById("upload");
const state = document.getElementById("upload-state");
form.hidden = false;

function showReport(report) {
  const lines = [...(report.reading || []), ...(report.notes || []), ...(report.questions || []).map((one) => one.text || one.question || JSON.stringify(one))];
  const list = document.createElement("ul");
  for (const text of lines) {
    const item = document.createElement("li");
    item.textContent = text;
    list.append(item);
  }
  document.getElementById("upload-report").replaceChildren(list);
}

// what would be read is shown of pictures with a label each alone
form.elements.task.addEventListener("change", () => {
  form.elements.look.disabled = form.elements.task.value !== "image_classification";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const file = data.get("file");
  const imports = event.submitter?.name === "import";
  const query = new URLSearchParams({ filename: file.name });
  if (imports) {
    for (const name of ["name", "task", "normal", "window"]) if (data.get(name)) query.set(name, data.get(name));
  }
  try {
    const answer = await send(`/v1/datasets:${imports ? "upload" : "inspect-upload"}?${query}`, file, (share) => {
      state.textContent = `sent ${Math.round(100 * share)} %`;
    });
    state.textContent = imports ? "being imported" : "this is what would be imported:";
    if (imports) location.assign(`/jobs/${encodeURIComponent(answer.job.id)}`);
    else showReport(answer);
    refresh();
  } catch (error) {
    state.textContent = error.message;
  }
});
