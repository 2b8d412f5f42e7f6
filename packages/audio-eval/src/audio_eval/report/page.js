// Theme button, sortable table, filter. Everything else on the page works without script.
const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const dark = getComputedStyle(root).colorScheme === "dark";
  root.dataset.theme = dark ? "light" : "dark";
});

document.querySelectorAll("table.sortable").forEach((table) => {
  const body = table.tBodies[0];
  const heads = [...table.querySelectorAll("th")];
  const key = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.n;
    if (number === undefined) return cell.textContent;
    return number === "" ? NaN : Number(number);
  };
  heads.forEach((head, column) => {
    head.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a, column);
        const y = key(b, column);
        if (Number.isNaN(x)) return 1; // rows without a value stay at the end
        if (Number.isNaN(y)) return -1;
        return (x > y ? 1 : x < y ? -1 : 0) * (up ? 1 : -1);
      });
      rows.forEach((row) => body.append(row));
    });
  });
});

document.querySelectorAll("input[type=search]").forEach((input) => {
  const rows = [...document.getElementById(input.dataset.table).tBodies[0].rows];
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    rows.forEach((row) => {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  });
});
