// What pages gain where scripts run; without them everything still works.
"use strict";

// A session that will end for want of use says so in time; to stay is one key. What was typed stays where it is.
(() => {
  const box = document.getElementById("ending");
  if (!box) return;
  const words = box.querySelector("[data-words]");
  const before = 5 * 60;
  // By the server's clock: this machine's may be wrong.
  const ahead = Date.now() / 1000 - Number(document.body.dataset.now);
  let ends = Number(document.body.dataset.ends);
  const look = () => {
    const left = ends + ahead - Date.now() / 1000;
    const near = left > 0 && left <= before;
    if (near) words.textContent = words.dataset.words.replace("{n}", String(Math.ceil(left / 60)));
    if (near && box.hidden) { box.hidden = false; box.querySelector("button").focus(); }
    if (!near) box.hidden = true;
    setTimeout(look, left > before ? Math.min((left - before) * 1000, 2 ** 30) : 5000);
  };
  box.querySelector("[data-stay]").addEventListener("click", async () => {
    const answer = await fetch("/session", { headers: { accept: "application/json" } });
    if (!answer.ok) { location.reload(); return; }
    ends = (await answer.json()).ends;
    document.body.dataset.ends = ends;
    document.dispatchEvent(new CustomEvent("session-stays"));
    look();
  });
  // Another tab of this person was used.
  document.addEventListener("session-longer", () => { ends = Number(document.body.dataset.ends); look(); });
  look();
})();

// Keys: those of the frame here, those of a page on its own links and buttons (`data-key`); ? lists them all. None while typing.
(() => {
  const rows = () => [...document.querySelectorAll("[data-rows] .open")].filter((row) => row.offsetParent);
  const help = document.getElementById("keys");
  const visible = (found) => [...found].find((one) => one.offsetParent !== null && !one.disabled);
  let leading = false;
  const list = () => {
    const shown = help.querySelector("dl");
    shown.querySelectorAll("[data-own]").forEach((one) => one.remove());
    shown.querySelectorAll("[data-of=rows]").forEach((one) => { one.hidden = !rows().length; });
    const add = (keys, words) => {
      const line = document.createElement("div");
      line.dataset.own = "";
      const term = document.createElement("dt");
      for (const key of keys) { const made = document.createElement("kbd"); made.textContent = key; term.append(made, " "); }
      const told = document.createElement("dd");
      told.textContent = words;
      line.append(term, told);
      shown.append(line);
    };
    const told = new Set();
    for (const one of document.querySelectorAll("[data-key]")) {
      if (one.offsetParent === null || told.has(one.dataset.key)) continue;
      told.add(one.dataset.key);
      add([one.dataset.key], one.dataset.keyLabel || one.getAttribute("aria-label") || one.textContent.trim());
    }
    for (const one of document.querySelectorAll("[data-go]")) add(["g", one.dataset.go], one.textContent.trim());
  };
  const ask = () => { if (help && !help.open) { list(); help.showModal(); } };
  document.querySelector("[data-ask]")?.addEventListener("click", ask);
  const move = (step) => {
    const all = rows();
    const at = all.findIndex((row) => row === document.activeElement || row.closest("li, tr")?.contains(document.activeElement));
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
    next?.focus();
    return Boolean(next);
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], dialog[open]")) return;
    const key = event.key;
    let took = false;
    if (leading) {
      leading = false;
      const there = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (there) { location.assign(there.href); took = true; }
    } else if (key === "g") leading = took = true;
    else if (key === "?") { ask(); took = true; }
    else if (key === "/") { const box = visible(document.querySelectorAll("[data-filter]")) || visible(document.querySelectorAll(".find input")); box?.focus(); took = Boolean(box); }
    else if (key === "j" || key === "k") took = move(key === "j" ? 1 : -1);
    else {
      const own = visible(document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`));
      if (own) { if (own.matches("input, textarea, select")) own.focus(); else own.click(); took = true; }
    }
    if (took) event.preventDefault();
  });
})();

// A form is sent once: a second press while it is on its way does nothing, and says so. Coming back to the page frees it again.
(() => {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.setAttribute("aria-busy", "true");
  });
  const free = () => document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; form.removeAttribute("aria-busy"); });
  window.addEventListener("pageshow", free);
  document.addEventListener("htmx:afterRequest", free);
})();

// Another language of the page as it is now: its address may have changed since it was drawn (a draft that was kept, a row that was opened).
document.addEventListener("submit", (event) => {
  if (event.target.matches("form.language") && !document.body.dataset.back) event.target.elements.next.value = location.pathname + location.search;
}, true);

// Printing without a script in the page; and what was done is said once, not again when the page is loaded anew.
(() => {
  document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) window.print(); });
  if (document.querySelector("[data-done]")) {
    const here = new URL(location.href);
    here.searchParams.delete("done");
    history.replaceState(history.state, "", here);
  }
  // An error summary is read out and stands under the eyes.
  document.querySelector("[data-fault]")?.focus();
})();
