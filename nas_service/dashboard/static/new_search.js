// The request beside the form is that of the form as it is filled.

import { refresh } from "./page.js";

const form = document.getElementById("new-search");
let waiting = 0;

form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
    history.replaceState(null, "", `?${query}`);
    refresh();
  }, 250);
});
