// The page's colours as a drawing needs them: worked out for the light or the dark scheme.

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

export function ink(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

// Calls back when the reader's scheme changes.
export const onScheme = (draw) => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
