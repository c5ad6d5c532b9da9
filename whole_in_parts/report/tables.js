"use strict";
// Sort a table by a click on the heading of a column, and filter its rows by a text. Without scripts, tables are as written.

const number = (text) => Number.parseFloat(text.replaceAll("−", "-").replaceAll(",", ""));

// Numbers before texts, and by size; empty cells last.
function compare(one, other) {
  const [a, b] = [number(one), number(other)];
  if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
  if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
  return (one === "") - (other === "") || one.localeCompare(other);
}

function sort(table, column, heading, headings) {
  const direction = heading.getAttribute("aria-sort") === "descending" ? 1 : -1;
  headings.forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");

  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => row.cells.length === headings.length);
    const text = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
    const empty = (row) => text.get(row) === "";
    rows.sort((a, b) => empty(a) - empty(b) || direction * compare(text.get(a), text.get(b)));
    body.append(...rows);
  }
}

function filter(table, words) {
  for (const row of table.querySelectorAll("tbody tr")) {
    const isHeading = row.querySelector("th[scope=rowgroup]");
    row.hidden = !isHeading && !row.textContent.toLowerCase().includes(words.toLowerCase());
  }
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const rows = table.tHead.rows;
  const headings = [...table.tHead.querySelectorAll("th")].filter(
    (heading) => heading.colSpan === 1 && heading.parentElement.rowIndex + heading.rowSpan === rows.length,
  );
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, column, heading, headings));
    heading.append(button);
  });

  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "Filter rows";
  field.setAttribute("aria-label", `Filter the rows of ${table.parentElement.getAttribute("aria-label")}`);
  field.addEventListener("input", () => filter(table, field.value));
  table.parentElement.before(field);
}
