// A search's page: the front as a plot that is linked with the table of candidates.

import { drawPlot, markCandidate, savePicture, showAll } from "./plot.js";
import { read } from "./api.js";
import { onScheme } from "./colours.js";

const main = document.querySelector("main");
const form = document.getElementById("view");
const base = `/v1/searches/${main.dataset.search}`;
let front = null;
let cloud = null;
let asked = "";

export function viewOf(data) {
  const limits = [...data.entries()]
    .filter(([name, value]) => name.startsWith("max.") && value !== "")
    .map(([name, value]) => [name.slice(4), Number(value)]);
  return {
    x: data.get("x"),
    y: data.get("y"),
    colour: data.get("colour"),
    scale: data.get("scale"),
    feasible: data.get("feasible") === "1",
    limits,
  };
}

const view = () => viewOf(new FormData(form));

function cloudPath(shown) {
  const query = new URLSearchParams({ x: shown.x, y: shown.y });
  if (shown.colour) query.set("colour", shown.colour);
  for (const [name, value] of shown.limits) query.append("where", `${name}<=${value}`);
  return `${base}/cloud?${query}`;
}

async function look() {
  const shown = view();
  const { body, changed } = await read(`${base}/front`);
  const path = cloudPath(shown);
  if (changed || path !== asked || !cloud) {
    cloud = (await read(path)).body;
    asked = path;
    front = body;
    drawPlot("front", front, cloud, shown, choose);
  }
}

// A candidate that was chosen in the plot or in the table is shown in both.
function choose(index) {
  for (const row of document.querySelectorAll("#candidates tbody tr")) {
    row.classList.toggle("chosen", Number(row.dataset.index) === index);
  }
  const place = document.getElementById("chosen");
  const link = document.createElement("a");
  link.href = `/searches/${main.dataset.search}/candidates/${index}`;
  link.textContent = `candidate ${index}`;
  place.replaceChildren("Chosen: ", link);
  markCandidate("front", cloud, front, view(), index);
}

document.getElementById("candidates-section").addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-index]");
  if (row && !event.target.closest("a, input")) choose(Number(row.dataset.index));
});

// Limits as sliders, from the least to the greatest there is, by powers.
for (const input of form.querySelectorAll("input[data-high]")) {
  const low = Number(input.dataset.low);
  const high = Number(input.dataset.high);
  if (!(high > low)) continue;
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = "0";
  slider.max = "100";
  slider.setAttribute("aria-label", `at most ${input.name.slice(4)}`);
  const towards = low > 0 ? (share) => low * (high / low) ** share : (share) => low + share * (high - low);
  const share = (value) => (low > 0 ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));
  slider.value = input.value === "" ? "100" : String(100 * share(Number(input.value)));
  slider.addEventListener("input", () => {
    input.value = slider.value === "100" ? "" : towards(Number(slider.value) / 100).toPrecision(4);
  });
  slider.addEventListener("change", () => form.dispatchEvent(new Event("change")));
  input.after(slider);
}

// The view is in the address: it can be sent to somebody, and used on another search.
form.addEventListener("change", () => {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
  history.replaceState(null, "", `?${query}`);
  update();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  form.dispatchEvent(new Event("change"));
});

document.getElementById("png").addEventListener("click", () => savePicture("front", main.dataset.search));
document.getElementById("whole").addEventListener("click", () => showAll("front"));

async function update() {
  const { refresh } = await import("./page.js");
  await Promise.all([refresh(), look()]);
}

document.addEventListener("refreshed", ({ detail }) => {
  if (detail.main.dataset.revision !== main.dataset.revision) {
    main.dataset.revision = detail.main.dataset.revision;
    look();
  }
});
const drawn = () => (window.Plotly ? look() : setTimeout(drawn, 50));
drawn();
onScheme(() => front && drawPlot("front", front, cloud, view(), choose));
