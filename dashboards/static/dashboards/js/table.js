// Sorts a [data-sortable] table by the column whose heading is pressed. The total and "everything else" stay put.
(function () {
  "use strict";

  function amount(cell) {
    const text = (cell ? cell.textContent : "").trim().replace(/\u2212/g, "-").replace(/[,\s\u202f\u00a0]/g, "");
    const found = text.match(/-?\d+(\.\d+)?/);
    return found ? (text.startsWith("-") && !found[0].startsWith("-") ? -1 : 1) * Number(found[0]) : null;
  }

  function compare(index, numeric, way) {
    return (one, other) => {
      const [a, b] = [one.cells[index], other.cells[index]];
      if (!numeric) return way * a.textContent.trim().localeCompare(b.textContent.trim());
      const [x, y] = [amount(a), amount(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return way * (x - y);
    };
  }

  function sort(table, heading, index) {
    const way = heading.getAttribute("aria-sort") === "descending" ? 1 : -1;
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].filter((row) => !row.classList.contains("rest"));
    const rest = [...body.rows].filter((row) => row.classList.contains("rest"));
    rows.sort(compare(index, heading.classList.contains("n"), way));
    body.append(...rows, ...rest);
  }

  function prepare(root) {
    root.querySelectorAll("table[data-sortable]").forEach((table) => {
      [...table.tHead.rows[0].cells].forEach((heading, index) => {
        if (heading.tagName !== "TH" || heading.querySelector(".sort")) return;
        const button = document.createElement("button");
        button.type = "button";
        button.className = "sort";
        button.append(...heading.childNodes);
        button.addEventListener("click", () => sort(table, heading, index));
        heading.append(button);
      });
    });
  }

  document.addEventListener("DOMContentLoaded", () => prepare(document));
  document.addEventListener("htmx:afterSettle", (event) => prepare(event.target.parentElement || document));
})();
