// One search: asks for what may have changed, and hands it to the parts of the page.

import { poll, read } from "./api.js";
import { drawFront } from "./front-plot.js";
import { showMessage } from "./format.js";
import { showPredictor } from "./predictor.js";
import { showLineage } from "./lineage.js";
import { showClasses } from "./classes.js";
import { showQuantities } from "./quantities.js";
import { showFacts, showProgress } from "./progress.js";
import { showBundle, showWinners } from "./winners.js";

const id = document.querySelector("main").dataset.search;
const base = `/v1/searches/${id}`;
const ended = new Set(["succeeded", "failed", "cancelled"]);

async function look() {
  const { body: search } = await read(base);
  const { body: progress } = await read(`${base}/progress`);
  showFacts(search);
  showProgress(search, progress);
  const { body: front, changed } = await read(`${base}/front`);
  if (changed) {
    drawFront(front);
    showPredictor(front.predictor);
  }
  const { body: winners } = await read(`${base}/winners`);
  showWinners(winners, search.spec.metric);
  showClasses(winners);
  showQuantities(winners);
  const { body: lineage } = await read(`${base}/lineage`);
  showLineage(lineage);
  if (ended.has(search.state)) {
    const { body: artifacts } = await read(`/v1/artifacts?owner=${id}&limit=200`);
    showBundle(artifacts.items.filter((one) => one.owner === id));
    if (search.problem) throw Object.assign(new Error(search.problem.detail), { status: 404 });
    return false;
  }
  return true;
}

poll(look, { everyMs: 1500, onError: showMessage });
