"use strict";
// The page is whole without this: here rows and dialogues are only moved, hidden and shown.
{
  const table = document.querySelector("table.sortable");
  const list = document.getElementById("differences");
  if (table) sortable(table, document.getElementById("original-order"));
  if (list) browsable(list, document.getElementById("filter"));

  function sortable(table, reset) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];

    function sort(column, order) {
      const sign = order === "descending" ? -1 : 1;
      const numeric = heads[column].classList.contains("n");
      const value = (row) => row.cells[column]?.dataset.value;
      // What is undefined comes last in either order.
      const compare = (a, b) => a === undefined || b === undefined
        ? (a === undefined) - (b === undefined)
        : sign * (numeric ? a - b : a.localeCompare(b));
      heads.forEach((head, at) => {
        if (order && at === column) head.setAttribute("aria-sort", order);
        else head.removeAttribute("aria-sort");
      });
      const rows = [...original];
      if (order) rows.sort((a, b) => compare(value(a), value(b)));
      body.append(...rows);
      table.classList.toggle("sorted", Boolean(order));
      reset.hidden = !order;
    }
    heads.forEach((head, column) => {
      const orders = head.classList.contains("n")
        ? ["descending", "ascending", null]
        : ["ascending", "descending", null];
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = orders.indexOf(head.getAttribute("aria-sort"));
        sort(column, orders[(now + 1) % orders.length]);
      });
    });
    reset.addEventListener("click", () => {
      sort(0, null);
      heads[0].querySelector("button").focus();
    });
  }

  function browsable(list, form) {
    const entries = [...list.children];
    const step = Number(list.dataset.shown);
    const status = document.getElementById("hits");
    const more = document.getElementById("more");
    let limit = step;

    function draw() {
      const wanted = [...new FormData(form)].filter(([, value]) => value !== "");
      const hits = entries.filter((entry) =>
        wanted.every(([key, value]) => entry.dataset[key] === value));
      const shown = new Set(hits.slice(0, limit));
      for (const entry of entries) entry.hidden = !shown.has(entry);
      const left = hits.length - shown.size;
      status.textContent = hits.length === 0
        ? "None. Widen a filter."
        : `${hits.length} of ${entries.length}, ${left ? `the ${shown.size} largest` : "all"} shown.`;
      more.hidden = left === 0;
      more.textContent = `Show ${Math.min(step, left)} more`;
      return hits;
    }
    function restart() {
      limit = step;
      draw();
    }
    form.addEventListener("change", restart);
    // The fields are cleared after this event.
    form.addEventListener("reset", () => setTimeout(restart));
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => {
      limit += step;
      draw()[limit - step].focus();
    });
    form.hidden = false;
    draw();
  }
}
