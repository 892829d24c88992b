// A data set that is sent from the page: looked at first, or imported, with its progress.

import { refresh } from "./page.js";

const form = document.getElementById("upload");
const state = document.getElementById("upload-state");
form.hidden = false;

function send(path, file) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      state.textContent = `sent ${Math.round((100 * loaded) / total)} %`;
    });
    request.addEventListener("load", () => {
      const body = JSON.parse(request.responseText);
      if (request.status < 400) done(body);
      else failed(new Error(body.detail));
    });
    request.addEventListener("error", () => failed(new Error("the service did not answer")));
    request.send(file);
  });
}

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

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const file = data.get("file");
  const imports = event.submitter?.name === "import";
  const query = new URLSearchParams({ filename: file.name });
  if (imports) query.set("name", data.get("name"));
  try {
    const answer = await send(`/v1/datasets:${imports ? "upload" : "inspect-upload"}?${query}`, file);
    state.textContent = imports ? "being imported" : "this is what would be imported:";
    if (imports) location.assign(`/jobs/${encodeURIComponent(answer.job.id)}`);
    else showReport(answer);
    refresh();
  } catch (error) {
    state.textContent = error.message;
  }
});
