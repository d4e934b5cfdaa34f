// What the list and a referral gain where scripts run: news without moving what is read, and forms that ask no more than they must.
"use strict";

// The list: how many referrals changed since it was opened, as a pill; rows stay where they are until somebody asks.
(() => {
  const pill = document.querySelector("[data-pill]");
  if (!pill) return;
  const changed = new Set();
  document.addEventListener("news", (event) => {
    if (event.detail.referral) changed.add(event.detail.referral);
    if (!changed.size) return;
    const words = changed.size === 1 ? pill.dataset.one : pill.dataset.many;
    pill.querySelector("a").textContent = words.replace("{n}", String(changed.size));
    pill.hidden = false;
  });
})();

// One referral: the sentence follows at once, in its own place; new entries are said politely and shown when asked for, or at once
// where the timeline is below the screen. A form in use is left alone.
(() => {
  const page = document.querySelector("[data-live-of]");
  if (!page) return;
  const own = new Set(page.dataset.liveOf.split(" "));
  const fresh = page.querySelector("[data-fresh]");
  const told = fresh.querySelector("span");
  const button = fresh.querySelector("button");
  const place = (root, name) => root.querySelector(`[data-live="${name}"]`);
  let next = null;
  let asking = false;
  let again = false;

  const used = (part) => part.contains(document.activeElement) || [...part.querySelectorAll("textarea, input:not([type=hidden]), select")].some((one) => {
    if (one.type === "checkbox" || one.type === "radio") return one.checked !== one.defaultChecked;
    if (one.tagName === "SELECT") return [...one.options].some((option) => option.selected !== option.defaultSelected && (option.selected ? option.value !== "" : true)) && one.value !== "";
    return one.value !== one.defaultValue;
  }) || Boolean(part.querySelector("details[open]"));

  const swap = (name) => {
    const now = place(page, name);
    const then = next && place(next, name);
    if (now && then && !used(now)) now.replaceWith(document.adoptNode(then.cloneNode(true)));
  };
  const show = (focus) => {
    if (!next) return;
    const now = place(page, "story");
    const last = Number(now.dataset.last);
    const then = document.adoptNode(place(next, "story").cloneNode(true));
    for (const entry of then.children) if (Number(entry.dataset.number) > last) entry.classList.add("new");
    now.replaceWith(then);
    for (const name of ["acts", "beside"]) swap(name);
    next = null;
    button.hidden = true;
    told.textContent = "";
    if (focus) then.querySelector(".new time")?.focus();
  };
  button.addEventListener("click", () => show(true));

  const look = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href.split("#")[0], { headers: { accept: "text/html", "X-Background": "1" } });
      if (!answer.ok || answer.redirected) return;
      const read = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live-of]");
      if (!read) return;
      for (const id of read.dataset.liveOf.split(" ")) own.add(id);
      const last = Number(place(page, "story").dataset.last);
      const count = [...place(read, "story").children].filter((entry) => Number(entry.dataset.number) > last).length;
      if (Number(place(read, "story").dataset.last) <= last) return;
      next = read;
      const sentence = read.querySelector(".hero");
      page.querySelector(".hero").replaceChildren(...[...sentence.cloneNode(true).childNodes].map((node) => document.adoptNode(node)));
      if (place(page, "story").getBoundingClientRect().top > innerHeight && !used(place(page, "acts"))) { show(false); }
      told.textContent = !count ? fresh.dataset.changed : count === 1 ? fresh.dataset.one : fresh.dataset.many.replace("{n}", String(count));
      button.hidden = !next;
    } catch { /* The next news looks again. */ } finally {
      asking = false;
      if (again) { again = false; look(); }
    }
  };
  document.addEventListener("news", (event) => {
    const said = event.detail;
    if (!said.kind || own.has(said.referral) || own.has(said.task)) look();
  });
})();

// A form that is opened is ready to be typed in; parts that only one of the answers needs stay away until it is given.
(() => {
  document.addEventListener("toggle", (event) => {
    if (event.target.matches("details.act[open]")) event.target.querySelector("form select, form textarea, form input:not([type=hidden])")?.focus();
  }, true);
  const settle = () => {
    for (const one of document.querySelectorAll("[data-shows]")) {
      const part = document.getElementById(one.dataset.shows);
      if (part) part.hidden = !one.checked;
    }
  };
  document.addEventListener("change", (event) => { if (event.target.matches("[type=radio]")) settle(); });
  settle();
})();
