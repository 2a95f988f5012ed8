// Click to enlarge: each figure gets a button; it and a click on the figure open it as large as the window. Esc closes.
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.createElement("dialog");
  dialog.className = "bn-large";
  dialog.innerHTML = '<button type="button" class="bn-enlarge">Close</button>';
  let home = null; // the figure's own box: it gets its picture back, which has ids that must stay unique
  dialog.querySelector("button").onclick = () => dialog.close();
  dialog.onclick = event => event.target === dialog && dialog.close();
  dialog.onclose = () => {
    home.append(dialog.querySelector("svg"));
    home.style.minHeight = "";
  };
  document.body.append(dialog);

  for (const figure of document.querySelectorAll("figure.bn-figure")) {
    const box = figure.querySelector(".bn-scroll"), svg = box.querySelector("svg");
    const open = () => {
      home = box;
      box.style.minHeight = `${box.offsetHeight}px`; // the page stays as it is behind the dialog
      dialog.setAttribute("aria-label", svg.getAttribute("aria-label"));
      dialog.append(svg);
      dialog.showModal();
    };
    svg.onclick = () => dialog.open || open();
    box.insertAdjacentHTML("beforebegin", '<p class="bn-hint">Wider than the page: swipe it sideways.</p>'); // before it is read
    const button = '<button type="button" class="bn-enlarge" aria-label="Enlarge the figure">Enlarge</button>';
    box.insertAdjacentHTML("afterend", button);
    figure.querySelector(".bn-enlarge").onclick = open;
    new ResizeObserver(() => {
      const wide = box.scrollWidth > box.clientWidth + 1;
      figure.classList.toggle("bn-wide", wide);
      box.tabIndex = wide ? 0 : -1; // what scrolls can be scrolled by keyboard, too
      if (wide) Object.assign(box, { role: "group", ariaLabel: "Figure, scrolls sideways" });
    }).observe(box);
  }
});
