(function () {
  "use strict";
  var each = Array.prototype.forEach;
  var key = function (cell) {
    var text = (cell.firstChild ? cell.firstChild.textContent : "").trim();
    return { text: text, number: parseFloat(text.replace(/\u2212/g, "-").replace(/,/g, "")) };
  };
  var order = function (a, b) {
    var numbers = !isNaN(a.number) && !isNaN(b.number);
    return numbers ? a.number - b.number : a.text.localeCompare(b.text);
  };
  var sort = function (head, heads, body, column) {
    var down = head.getAttribute("aria-sort") === "ascending";
    each.call(heads, function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    Array.prototype.map.call(body.rows, function (row) {
      return { row: row, key: key(row.cells[column]) };
    }).sort(function (a, b) {
      var gaps = (a.key.text === "") - (b.key.text === "");
      return gaps || (down ? -1 : 1) * order(a.key, b.key);
    }).forEach(function (entry) { body.appendChild(entry.row); });
  };
  document.querySelectorAll("table").forEach(function (table) {
    var body = table.tBodies[0], heads = table.tHead.rows[0].cells;
    if (body.rows.length < 2) return;
    each.call(heads, function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      button.addEventListener("click", function () { sort(head, heads, body, column); });
    });
  });
  var fit = function () {
    document.querySelectorAll(".table").forEach(function (part) {
      var scroll = part.querySelector(".scroll");
      part.classList.toggle("fits", scroll.scrollWidth <= scroll.clientWidth + 1);
    });
  };
  fit();
  window.addEventListener("resize", fit);
  document.querySelectorAll("details").forEach(function (part) {
    part.addEventListener("toggle", fit);
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (part) { part.open = true; });
  });
})();
