// Scores as values of the search's metric.

let scale = null;

export const showScoresAs = (given) => {
  scale = given || null;
};

export const metricName = (name) => (scale && scale.name === name && scale.label) || (name || "accuracy").replace("_", " ");

export const metricUnit = () => (scale && scale.unit) || "%";

const factor = () => (scale && scale.unit ? 1 : 100);

export const metricSpread = (error) => factor() * error * (scale ? Math.abs(scale.best - scale.worst) : 1);

export const metricValue = (score) =>
  factor() * (scale ? scale.worst + score * (scale.best - scale.worst) : score);
