// The predictor's report card: how it does on networks that it has not seen.

const share = (value) => (value === null ? "unknown" : `${(100 * value).toFixed(0)} %`);

export function showPredictor(card) {
  const place = document.getElementById("predictor-card");
  if (!card) {
    place.textContent = "";
    return;
  }
  const tau = card.kendall === null ? "unknown" : card.kendall.toFixed(2);
  const error =
    card.mean_error === null ? "unknown" : `${(100 * card.mean_error).toFixed(1)} points`;
  const held = Object.entries(card.coverage)
    .map(([level, found]) => `${(100 * level).toFixed(0)} % intervals held ${share(found)}`)
    .join(", ");
  place.textContent =
    `Predictor ${card.name} on ${card.n} networks, each predicted without its fold: ` +
    `Kendall's tau ${tau}, mean error ${error}, ${held}.`;
}
