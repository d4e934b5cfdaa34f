// What pages gain where scripts run; without them everything still works.
"use strict";

// A session that will end for want of use says so in time; to stay is one key. What was typed stays where it is.
(() => {
  const box = document.getElementById("ending");
  if (!box) return;
  const words = box.querySelector("[data-words]");
  const before = 5 * 60;
  let ends = Number(document.body.dataset.ends);
  const look = () => {
    const left = ends - Date.now() / 1000;
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
    look();
  });
  look();
})();

// j and k move through the rows, Enter opens: the row's link has the focus, so that every key of the browser works as well.
(() => {
  const rows = [...document.querySelectorAll("[data-rows] .open")];
  if (!rows.length) return;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
    const step = { j: 1, k: -1 }[event.key];
    if (!step) return;
    const at = rows.indexOf(document.activeElement);
    const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)];
    next.focus();
    event.preventDefault();
  });
})();
