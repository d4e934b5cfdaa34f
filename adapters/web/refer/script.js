// The page to refer: a number is looked up when it is finished, not at every digit; cards of needs are found by words; Ctrl+Enter sends.
"use strict";

(() => {
  const form = document.getElementById("refer");
  if (!form) return;
  document.documentElement.classList.add("scripted");
  const number = document.getElementById("number");
  // Half a number may be another person's: only a whole one is asked for.
  number.addEventListener("input", (event) => event.stopPropagation());
  number.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    window.htmx.trigger(form, "look");
  });
  for (const one of form.querySelectorAll("button[formaction='/refer/look']")) {
    one.addEventListener("click", (event) => { if (window.htmx) { event.preventDefault(); window.htmx.trigger(form, "look"); } });
  }
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(form.querySelector(".send .btn-primary")); }
    // Enter in a line of text goes on, and sends nothing by accident.
    else if (event.key === "Enter" && event.target.matches("input:not([type=checkbox]):not([type=radio])")) event.preventDefault();
  });

  // A draft that could not be kept is said to be so; the next one that is kept says that again.
  const saved = document.getElementById("saved");
  for (const fault of ["htmx:responseError", "htmx:sendError"]) form.addEventListener(fault, () => { saved.textContent = saved.dataset.off; });

  const filter = form.querySelector("[data-need-filter]");
  if (filter) {
    filter.closest(".filter").hidden = false;
    const cards = [...form.querySelectorAll(".card-need")];
    const none = form.querySelector(".none-found");
    filter.addEventListener("input", (event) => {
      event.stopPropagation();
      const words = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const card of cards) {
        const there = card.querySelector("input").checked || words.every((word) => card.dataset.words.toLowerCase().includes(word));
        card.hidden = !there;
        shown += there ? 1 : 0;
      }
      none.hidden = shown > 0;
    });
    filter.addEventListener("change", (event) => event.stopPropagation());
    filter.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const card = cards.find((one) => !one.hidden && !one.querySelector("input").checked);
      if (card && filter.value.trim()) { card.querySelector("input").click(); filter.value = ""; filter.dispatchEvent(new Event("input")); }
    });
  }
})();
