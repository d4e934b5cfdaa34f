// The case page with a script: Ctrl+Enter saves, a note begins with the headings of its kind, and two keys record an activity.
"use strict";

(() => {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    const form = event.target.closest("form[data-send]");
    if (!form) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector("button:not([type=button])"));
  });

  // The headings of a kind of note stand there to be filled in; whatever somebody typed is never written over.
  for (const choice of document.querySelectorAll(".composer select[name=type]")) {
    const words = choice.form.querySelector("[data-template]");
    let given = "";
    choice.addEventListener("change", () => {
      const offered = choice.selectedOptions[0]?.dataset.words || "";
      if (words.value.trim() && words.value !== given) return;
      words.value = offered;
      given = offered;
      words.dispatchEvent(new Event("input", { bubbles: true }));
      words.setSelectionRange(offered.indexOf("\n") < 0 ? offered.length : offered.indexOf("\n"), offered.indexOf("\n") < 0 ? offered.length : offered.indexOf("\n"));
    });
  }

  // What happens to this case elsewhere is said, and nothing moves under the reader. What they did themselves stands here already.
  const shown = document.querySelector(".case[data-case]");
  document.addEventListener("news", async (event) => {
    if (!shown || event.detail?.task !== shown.dataset.case) return;
    const notice = shown.querySelector("[data-changed]");
    try {
      const answer = await fetch(location.href, { headers: { "hx-request": "true", "X-Background": "1" } });
      const now = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(".case[data-state]");
      if (!answer.ok || !now || now.dataset.state === shown.dataset.state) return;
    } catch { return; }
    notice.hidden = false;
    notice.firstElementChild.textContent = notice.dataset.changed;
  });

  // On a narrow screen the tab that is shown stands in sight.
  const tab = document.querySelector(".case-tabs [aria-current]");
  if (tab) tab.closest("ul").scrollLeft = tab.offsetLeft - tab.closest("ul").offsetLeft - 48;

  // t, then the key of an activity: written down with the minutes that stand in the field. Arrows change the minutes, Escape leaves it.
  const quick = document.querySelector("[data-quick]");
  if (!quick) return;
  const box = quick.closest(".quick");
  const minutes = quick.querySelector("[name=minutes-spent]");
  let armed = false;
  const arm = (on) => { armed = on; box.classList.toggle("armed", on); if (on) box.scrollIntoView({ block: "nearest" }); };
  quick.querySelector("[data-arm]").addEventListener("click", () => arm(true));
  document.addEventListener("keydown", (event) => {
    if (!armed || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select")) { arm(false); return; }
    if (event.key === "Escape") { arm(false); event.stopImmediatePropagation(); return; }
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      minutes.value = String(Math.min(Math.max(Number(minutes.value || 0) + (event.key === "ArrowUp" ? 5 : -5), 5), 1440));
      event.preventDefault();
      return;
    }
    const button = quick.querySelector(`[data-second="${CSS.escape(event.key)}"]`);
    if (!button) { if (event.key.length === 1) arm(false); return; }
    event.preventDefault();
    event.stopImmediatePropagation();
    arm(false);
    quick.requestSubmit(button);
  }, true);
})();
