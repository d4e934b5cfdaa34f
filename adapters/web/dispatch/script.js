// The board hears what happens elsewhere: rows that are there say how they stand now, new ones wait behind a pill, none moves.
"use strict";

(() => {
  const list = document.getElementById("board-list");
  const pill = document.querySelector("[data-pill]");
  if (!list || !pill) return;
  let fresh = null;
  let asking = false;
  let again = false;
  const ids = (root) => new Set([...root.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
  const look = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(list.dataset.live, { headers: { "hx-request": "true", "X-Background": "1" } });
      if (answer.ok && !answer.headers.get("hx-redirect")) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* The next news asks again. */ }
    asking = false;
    if (again) { again = false; look(); }
  };
  const take = (page) => {
    const counts = list.querySelector("[data-counts]");
    const now = page.querySelector("[data-counts]");
    if (counts && now) counts.innerHTML = now.innerHTML;
    fresh = page.body.innerHTML;
    if ("later" in list.dataset) return;
    const there = ids(list);
    const coming = ids(page);
    for (const row of list.querySelectorAll("[data-id]")) {
      const other = page.querySelector(`[data-id="${row.dataset.id}"]`);
      row.classList.toggle("gone", !other);
      if (!other) continue;
      // What has the focus keeps it: only the words beside the link are written anew.
      for (const part of [".sentence", ".why"]) {
        const old = row.querySelector(part);
        const made = other.querySelector(part);
        if (old && made && old.innerHTML !== made.innerHTML) { old.className = made.className; old.innerHTML = made.innerHTML; }
      }
    }
    const fresher = [...coming].filter((id) => !there.has(id)).length;
    pill.hidden = !fresher;
    if (fresher) pill.textContent = pill.dataset.words.replace("{n}", String(fresher));
  };
  pill.addEventListener("click", () => {
    if (fresh === null) return;
    list.innerHTML = fresh;
    window.htmx?.process(list);
    pill.hidden = true;
    list.querySelector("[data-rows] .open")?.focus();
  });
  document.addEventListener("news", look);
})();

// What is opened beside the list gets the focus, and the list shows which it is; a section that opens, its first field.
(() => {
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "placing") return;
    document.querySelector(".board")?.classList.add("chosen");
    const id = event.detail.pathInfo.requestPath.split("/").pop();
    document.querySelectorAll("#board-list [data-id]").forEach((row) => {
      row.classList.toggle("here", row.dataset.id === id);
      row.querySelector(".open").toggleAttribute("aria-current", row.dataset.id === id);
    });
    event.detail.target.querySelector("[data-focus]")?.focus();
  });
  document.addEventListener("toggle", (event) => {
    if (event.target.matches(".further details[open], .had details[open]")) event.target.querySelector("select, textarea, input:not([type=hidden])")?.focus();
  }, true);
})();

// A list of cases: all of the page with one key.
(() => {
  document.querySelector("[data-all]")?.addEventListener("click", () => {
    const all = [...document.querySelectorAll("[data-bulk] input[name=task]")];
    const on = all.some((box) => !box.checked);
    all.forEach((box) => { box.checked = on; });
  });
})();
