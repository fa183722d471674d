"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const direction = heading.ariaSort === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.ariaSort = direction === 1 ? "ascending" : "descending";
      const key = ({ cells }) => cells[column].dataset.value ?? cells[column].textContent;
      const order = (a, b) => (isNaN(a) || isNaN(b) ? (a < b ? -1 : a > b) : a - b);
      const rows = [...body.rows].sort((a, b) => direction * order(key(a), key(b)));
      body.append(...rows);
    });
  });
}
