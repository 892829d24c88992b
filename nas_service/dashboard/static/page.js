// Every page: keeps the parts marked `data-live` up to date, and shows times in the reader's zone.
//
// The server renders; a page that changes is asked for again, and parts that differ are put in place,
// so that what a script shows is what the page shows without scripts.

const opened = () => new Set([...document.querySelectorAll("details[open] > summary")].map((one) => one.textContent));

function keepOpen(part, names) {
  for (const summary of part.querySelectorAll("details > summary")) {
    if (names.has(summary.textContent)) summary.parentElement.open = true;
  }
}

export function localTimes(root = document) {
  for (const one of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(one.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    one.textContent = at.toLocaleString();
    one.dataset.local = "";
  }
}

export async function refresh() {
  const response = await fetch(location.href, { cache: "no-store", headers: { Accept: "text/html" } });
  if (!response.ok || response.redirected) return null;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const names = opened();
  const focused = document.activeElement?.id;
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next) continue;
    localTimes(next);
    keepOpen(next, names);
    if (next.innerHTML === part.innerHTML) continue;
    const ticked = new Set([...part.querySelectorAll("input:checked")].map((one) => one.value));
    part.innerHTML = next.innerHTML;
    for (const one of part.querySelectorAll('input[type="checkbox"]')) one.checked ||= ticked.has(one.value);
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  const main = fresh.querySelector("main");
  document.querySelector("main").dataset.refresh = main.dataset.refresh || "";
  document.dispatchEvent(new CustomEvent("refreshed", { detail: { main } }));
  return main;
}

function tell(text) {
  let place = document.getElementById("connection");
  if (!place) {
    place = document.createElement("p");
    place.id = "connection";
    place.setAttribute("role", "status");
    document.querySelector("main").prepend(place);
  }
  place.textContent = text;
  place.hidden = !text;
}

async function keepUp() {
  for (;;) {
    const seconds = Number(document.querySelector("main")?.dataset.refresh);
    if (!seconds) return;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    if (document.hidden) continue;
    try {
      await refresh();
      tell("");
    } catch {
      tell("The service does not answer; this page tries again.");
    }
  }
}

localTimes();
keepUp();
