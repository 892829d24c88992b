// Parallel axes: dragging along an axis keeps the lines that cross it there.

const picture = document.getElementById("axes");
const form = document.getElementById("narrow");
const place = document.getElementById("left");
const axes = [...picture.querySelectorAll("g[data-axis]")].map((group) => ({
  name: group.dataset.axis,
  low: Number(group.dataset.low),
  high: Number(group.dataset.high),
  powers: "log" in group.dataset,
  steps: "steps" in group.dataset,
  brush: group.querySelector(".brush"),
  grip: group.querySelector(".grip"),
}));
const lines = [...picture.querySelectorAll("polyline")].map((line) => ({
  line,
  index: line.dataset.index,
  heights: line.getAttribute("points").split(" ").map((point) => Number(point.split(",")[1])),
}));
const top = Number(axes[0]?.grip.getAttribute("y") ?? 0);
const tall = Number(axes[0]?.grip.getAttribute("height") ?? 1);

const NEAR = 4;

const field = (end, axis) => form.elements.namedItem(`${end}.${axis.name}`);

function heightOf(axis, value) {
  if (!(axis.high > axis.low)) return top + 0.5 * tall;
  if (!axis.powers) return top + ((axis.high - value) / (axis.high - axis.low)) * tall;
  return value > 0 ? top + (Math.log(axis.high / value) / Math.log(axis.high / axis.low)) * tall : top + 2 * tall;
}

function valueAt(axis, y) {
  const share = (y - top) / tall;
  return axis.powers ? axis.high * (axis.low / axis.high) ** share : axis.high - share * (axis.high - axis.low);
}

// A decision's axis has places for its values alone.
const shown = (axis, value, whole) => (axis.steps ? whole(value) : Number(value.toPrecision(6)));

// Highest and lowest place on an axis that lets through, from the numbers of the form.
function interval(axis) {
  const least = field("least", axis).value;
  const most = field("most", axis).value;
  if (least === "" && most === "") return null;
  const upper = most === "" ? top : heightOf(axis, Number(most));
  const lower = least === "" ? top + tall : heightOf(axis, Number(least));
  return [upper, lower];
}

function show() {
  const intervals = axes.map(interval);
  for (const [i, axis] of axes.entries()) {
    const found = intervals[i];
    axis.brush.setAttribute("y", found ? String(found[0]) : String(top));
    axis.brush.setAttribute("height", found ? String(Math.max(0, found[1] - found[0])) : "0");
  }
  const kept = [];
  for (const one of lines) {
    const off = intervals.some((found, i) => found && (one.heights[i] < found[0] - 0.06 || one.heights[i] > found[1] + 0.06));
    one.line.classList.toggle("off", off);
    if (!off) kept.push(one.index);
  }
  place.replaceChildren(
    ...kept.flatMap((index) => {
      const link = document.createElement("a");
      link.href = `/searches/${picture.dataset.search}/candidates/${index}`;
      link.textContent = index;
      return [link, " "];
    }),
  );
  if (!kept.length) place.textContent = "No candidate is within all intervals.";
}

function remember() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
  history.replaceState(null, "", `?${query}`);
}

function at(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
  return Math.min(top + tall, Math.max(top, point.y));
}

for (const axis of axes) {
  let began = null;
  axis.grip.addEventListener("pointerdown", (event) => {
    began = at(event);
    axis.grip.setPointerCapture(event.pointerId);
  });
  axis.grip.addEventListener("pointermove", (event) => {
    if (began === null) return;
    const [upper, lower] = [began, at(event)].sort((a, b) => a - b);
    // up to an end is without an end: no candidate there is cut off by a pixel
    field("most", axis).value = upper - top < NEAR ? "" : shown(axis, valueAt(axis, upper), Math.floor);
    field("least", axis).value = top + tall - lower < NEAR ? "" : shown(axis, valueAt(axis, lower), Math.ceil);
    show();
  });
  axis.grip.addEventListener("pointerup", (event) => {
    if (began !== null && Math.abs(at(event) - began) < 3) {
      field("most", axis).value = "";
      field("least", axis).value = "";
    }
    began = null;
    show();
    remember();
  });
}
form.addEventListener("input", () => {
  show();
  remember();
});
form.addEventListener("submit", (event) => event.preventDefault());
show();
