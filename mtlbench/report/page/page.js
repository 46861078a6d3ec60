"use strict";
// Sorting and filtering of tables that are complete without any script.
(() => {
  const status = document.getElementById("status");
  const key = (row, column) => {
    const field = row.children[column];
    const value = field.dataset.value;
    return value === undefined || value === "nan" ? null : Number(value);
  };
  const compare = (column, sign) => (a, b) => {
    const x = key(a, column), y = key(b, column);
    const s = a.children[column].textContent, t = b.children[column].textContent;
    if (x !== null && y !== null) return sign * (x - y);
    if (x !== null || y !== null) return x === null ? 1 : -1; // an undefined number comes last in both directions
    return sign * s.localeCompare(t, undefined, { numeric: true });
  };
  const sort = (table, head, column) => {
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const body = table.tBodies[0];
    const rows = [...body.rows].sort(compare(column, order === "ascending" ? 1 : -1));
    body.append(...rows);
    status.textContent = `Sorted by ${head.textContent.trim()}, ${order}`;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, column));
    }
  }
  for (const input of document.querySelectorAll("input[data-filter]")) {
    const line = input.closest(".filter"), output = line.querySelector("output");
    const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
    const texts = rows.map((row) => [...row.cells].map((field) => field.textContent).join(" ").toLowerCase());
    line.hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, index) => {
        row.hidden = !words.every((word) => texts[index].includes(word));
        shown += !row.hidden;
      });
      output.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }
})();
