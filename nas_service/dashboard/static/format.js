// Scores as values of the search's metric.

export const metricName = (name) => (name === "macro_f1" ? "macro F1" : (name || "accuracy").replace("_", " "));

let scale = null;

export const showScoresAs = (given) => {
  scale = given || null;
};

export const metricUnit = () => (scale && scale.unit) || "%";

export const metricValue = (score) =>
  scale && scale.unit ? scale.worst + score * (scale.best - scale.worst) : 100 * score;

export const metricSpread = (error) => (scale && scale.unit ? error * Math.abs(scale.best - scale.worst) : 100 * error);
