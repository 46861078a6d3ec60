"use strict";
// A chart is one tab stop. Arrow keys, Home and End walk its marks, pointer and touch point at them; a live region
// says what a mark is, Escape clears it. Without this script the picture is the same, and its titles are tooltips.
for (const chart of document.querySelectorAll(".chart")) {
  const picture = chart.querySelector(".chart-picture");
  const said = chart.querySelector(".chart-said");
  const marks = [...picture.querySelectorAll(".mark")];
  let at = -1;
  const show = (next) => {
    marks[at]?.classList.remove("on");
    at = next;
    marks[at]?.classList.add("on");
    said.textContent = marks[at]?.querySelector("title").textContent ?? "";
  };
  const steps = {
    ArrowRight: () => Math.min(at + 1, marks.length - 1),
    ArrowDown: () => Math.min(at + 1, marks.length - 1),
    ArrowLeft: () => Math.max(at - 1, 0),
    ArrowUp: () => Math.max(at - 1, 0),
    Home: () => 0,
    End: () => marks.length - 1,
    Escape: () => -1,
  };
  picture.setAttribute("role", "application"); // so that a screen reader leaves the arrow keys to it
  picture.setAttribute("aria-roledescription", "chart, arrow keys walk its values");
  picture.addEventListener("keydown", (event) => {
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    show(steps[event.key]());
    marks[at]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  picture.addEventListener("focus", () => {
    if (at < 0) said.textContent = `Arrow keys walk the ${marks.length} values.`;
  });
  picture.addEventListener("pointerover", (event) => {
    const mark = event.target.closest(".mark");
    if (mark) show(marks.indexOf(mark));
  });
}
