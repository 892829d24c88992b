// A model that is sent from the page: compressed, or made a search space.

import { send } from "./api.js";

const form = document.getElementById("own-model");
const state = document.getElementById("own-model-state");
form.hidden = false;

const numbers = (text) => text.split(",").map((one) => {
  if (!Number.isFinite(Number(one)) || !one.trim()) throw new Error(`${one.trim() || "nothing"} is not a number`);
  return Number(one);
});

async function uploaded(kind, file) {
  const told = await send(`/v1/${kind}:upload?${new URLSearchParams({ filename: file.name })}`, file, (share) => {
    state.textContent = `sent ${Math.round(100 * share)} % of ${file.name}`;
  });
  return told.id;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const dataset = data.get("dataset");
  const asked = dataset ? { dataset } : {};
  const becomesSpace = event.submitter?.name === "space";
  try {
    for (const name of ["mean", "std"]) if (data.get(name).trim()) asked[name] = numbers(data.get(name));
    asked.model = await uploaded("models", data.get("model"));
    if (becomesSpace) {
      const made = await send("/v1/search-spaces", asked);
      location.assign(`/jobs/${encodeURIComponent(made.job.id)}`);
      return;
    }
    if (data.get("samples").size) asked.samples = [await uploaded("samples", data.get("samples"))];
    const made = await send("/v1/compressions", { ...asked, device: data.get("device") });
    location.assign(`/models/${encodeURIComponent(made.id)}`);
  } catch (error) {
    state.textContent = error.message;
  }
});
