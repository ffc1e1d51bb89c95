"use strict";
const viewer = document.querySelector(".viewer");

if (viewer) {
  const slices = [...viewer.querySelectorAll(".slice")];
  const at = document.getElementById("at");
  const overlay = document.getElementById("overlay");
  const number = viewer.querySelector(".number");

  const show = () => {
    slices.forEach((slice, index) => slice.classList.toggle("on", index === Number(at.value)));
    number.textContent = slices[at.value].dataset.name;
  };
  const step = (by) => {
    at.value = Number(at.value) + by;
    show();
  };

  at.addEventListener("input", show);
  overlay?.addEventListener("input", () => viewer.style.setProperty("--overlay", overlay.value / 100));
  viewer.addEventListener("wheel", (turn) => {
    turn.preventDefault();
    step(Math.sign(turn.deltaY));
  }, { passive: false });
  document.addEventListener("keydown", (key) => {
    // A range input moves by itself.
    if (key.target.matches("input") || key.altKey || key.ctrlKey || key.metaKey) return;
    if (key.key === "ArrowLeft") step(-1);
    if (key.key === "ArrowRight") step(1);
  });
  // A browser may keep the sliders of an earlier visit.
  overlay?.dispatchEvent(new Event("input"));
  show();
}
