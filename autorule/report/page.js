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
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });

  // What scrolls is reached by keyboard; what does not is no stop on the way.
  const boxes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const scrolls = target.scrollWidth > target.clientWidth + 1 || target.scrollHeight > target.clientHeight + 1;
      if (scrolls) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const box of document.querySelectorAll(".box, .canvas")) boxes.observe(box);

  const table = document.getElementById("rule-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  const status = document.getElementById("count");
  const search = document.getElementById("search");
  const decision = document.getElementById("decision");
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // Values are compared as the column says; rows without one stay last in both directions, equal ones by their number.
  const compare = (column, kind, sign) => (one, other) => {
    const a = one.cells[column].dataset.sort;
    const b = other.cells[column].dataset.sort;
    const byNumber = Number(one.cells[0].dataset.sort) - Number(other.cells[0].dataset.sort);
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined) || byNumber;
    return sign * (kind === "number" ? Number(a) - Number(b) : collator.compare(a, b)) || byNumber;
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

  const textOf = (row) => [...row.querySelectorAll("th .text")].at(-1).textContent + "\n" + row.dataset.id;
  const texts = new Map(rows.map((row) => [row, textOf(row).toLowerCase()]));
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    const kind = decision ? decision.value : "";
    let shown = 0;
    for (const row of rows) {
      row.hidden = !texts.get(row).includes(wanted) || (kind !== "" && row.dataset.decision !== kind);
      shown += row.hidden ? 0 : 1;
    }
    const count = `${shown} of ${rows.length} ${rows.length === 1 ? "rule" : "rules"}`;
    status.textContent = shown ? count : `No rule matches: ${count}`;
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
