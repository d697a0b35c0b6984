"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  prefersDark.addEventListener("change", showTheme);
  showTheme();

  // Folded texts are printed whole.
  window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("#rule-table details")) folded.open = true;
  });

  const table = document.getElementById("rule-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  const status = document.getElementById("count");
  const search = document.getElementById("search");
  const decision = document.getElementById("decision");
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // Values are compared as the column says; rows without one stay last in both directions.
  const compare = (column, kind, sign) => (one, other) => {
    const a = one.cells[column].dataset.sort;
    const b = other.cells[column].dataset.sort;
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (kind === "number" ? Number(a) - Number(b) : collator.compare(a, b));
  };

  const sortBy = (column) => {
    const header = headers[column];
    const first = header.dataset.first || (header.dataset.kind === "number" ? "descending" : "ascending");
    const second = first === "ascending" ? "descending" : "ascending";
    const order = header.getAttribute("aria-sort") === first ? second : first;
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", order);
    rows.sort(compare(column, header.dataset.kind, order === "ascending" ? 1 : -1));
    body.append(...rows);
  };

  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortBy(column));
    header.append(button);
  });

  const texts = new Map(rows.map((row) => [row, row.querySelector("th").textContent.toLowerCase()]));
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    const kind = decision ? decision.value : "";
    let shown = 0;
    for (const row of rows) {
      row.hidden = !texts.get(row).includes(wanted) || (kind !== "" && row.dataset.decision !== kind);
      shown += row.hidden ? 0 : 1;
    }
    status.textContent = `${shown} of ${rows.length} rules`;
  };
  search.addEventListener("input", filter);
  if (decision) decision.addEventListener("change", filter);
  document.querySelector(".controls").hidden = false;

  // A link to another rule leads nowhere while that rule is filtered out.
  body.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || !document.getElementById(link.hash.slice(1))?.hidden) return;
    search.value = "";
    if (decision) decision.value = "";
    filter();
  });
})();
