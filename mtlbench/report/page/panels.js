// The before/after slider of a panel: left of the cut the attacked pictures, right of it the clean one of the same row.
// Without this script the attacked pictures are shown, and there is no slider.
"use strict";
for (const panel of document.querySelectorAll("figure.panel")) {
  const box = panel.querySelector(".panel-slider");
  const pictures = panel.querySelectorAll(".panel-after");
  if (!box || !pictures.length) continue;
  for (const picture of pictures) {
    const clean = picture.closest("tr").cells[1].querySelector("img");
    if (!clean) continue;
    const before = document.createElement("img");
    before.src = clean.src; // in the page once
    before.alt = "";
    before.className = "panel-before";
    picture.append(before);
  }
  const slider = box.querySelector("input");
  const show = () => {
    panel.style.setProperty("--panel-cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} % attacked, the rest clean`);
  };
  slider.addEventListener("input", show);
  show();
  box.hidden = false;
}
