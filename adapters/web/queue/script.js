// The queue with a script: the open row follows the keys, what happens elsewhere changes rows in their places, and new ones wait
// behind a pill until they are asked for. Without it everything is links and forms.
"use strict";

(() => {
  const queue = document.querySelector("[data-queue]");
  const many = document.querySelector("form[data-many]");
  document.documentElement.classList.add("scripted");

  // ---- choosing rows: x, and with Shift all between -------------------------------------------------------------------
  const picks = () => [...document.querySelectorAll("[data-pick]")];
  const chosen = () => picks().filter((one) => one.checked);
  let last = null;
  const count = () => {
    if (!many) return;
    const all = many.querySelector("[data-all]");
    const said = many.querySelector("[data-chosen]");
    const none = many.querySelector("[data-none]");
    const n = all?.checked ? all.closest("label").textContent.trim() : chosen().length;
    const some = all?.checked || n > 0;
    many.classList.toggle("some", Boolean(some));
    said.textContent = all?.checked ? n : said.dataset.words.replace("{n}", n);
    none.hidden = !some;
    for (const button of many.querySelectorAll("[data-many-words]")) {
      button.textContent = all?.checked ? button.dataset.manyWords.replace("{n}", "≤ 1,000") : button.dataset.manyWords.replace("{n}", n);
    }
  };
  const pick = (box, range) => {
    const every = picks();
    const [from, to] = [every.indexOf(last), every.indexOf(box)];
    if (range && from >= 0) for (const one of every.slice(Math.min(from, to), Math.max(from, to) + 1)) one.checked = box.checked;
    last = box;
    count();
  };
  document.addEventListener("click", (event) => {
    if (event.target.matches("[data-pick]")) pick(event.target, event.shiftKey);
    if (event.target.matches("[data-all]")) count();
    if (event.target.closest("[data-none]")) { for (const one of chosen()) one.checked = false; const all = many.querySelector("[data-all]"); if (all) all.checked = false; count(); }
  });
  if (many) count();
  if (!queue) return;

  const here = () => new URL(queue.dataset.here, location.href);
  const rowOf = (task) => document.querySelector(`[data-list] > [data-task="${CSS.escape(task)}"]`);
  const detail = queue.querySelector("[data-detail]");
  const wide = () => window.matchMedia("(min-width: 768px)").matches;
  const opened = () => detail.querySelector("[data-full]")?.dataset.full || "";
  const read = (text) => new DOMParser().parseFromString(text, "text/html");

  // ---- the open row follows the focus ---------------------------------------------------------------------------------
  let wanted = null;
  // An act key pressed while its row is on its way, and what was typed behind it.
  let pending = null;
  // An act that is on its way: one that leads to another row, which nobody has seen yet, or one that stays.
  let going = null;
  const mark = (task) => {
    for (const one of queue.querySelectorAll(".open[aria-current]")) one.removeAttribute("aria-current");
    if (task) rowOf(task)?.querySelector(".open").setAttribute("aria-current", "true");
  };
  const address = (task) => {
    const at = here();
    if (task) at.searchParams.set("open", task);
    history.replaceState(history.state, "", at);
  };
  const open = async (task, again, unasked) => {
    if (!again && opened() === task && wanted === null) return;
    wanted = task;
    mark(task);
    detail.setAttribute("aria-busy", "true");
    const at = new URL(`/queue/row/${task}`, location.href);
    for (const [name, value] of here().searchParams) at.searchParams.set(name, value);
    try {
      const answer = await fetch(at, { headers: { "hx-request": "true", ...(unasked && { "X-Background": "1" }) } });
      if (answer.headers.get("hx-redirect")) { location.assign(answer.headers.get("hx-redirect")); return; }
      const text = await answer.text();
      if (wanted !== task) return;
      if (!answer.ok) throw new Error(String(answer.status));
      detail.replaceChildren(...read(text).body.childNodes);
      queue.classList.add("opened");
      address(task);
      wanted = null;
      detail.removeAttribute("aria-busy");
      if (pending) { const { key, text } = pending; pending = null; if (press(key)) type(text); }
    } catch {
      if (wanted !== task) return;
      wanted = null;
      pending = null;
      detail.removeAttribute("aria-busy");
      const said = document.createElement("p");
      said.className = "fault";
      said.setAttribute("role", "alert");
      said.textContent = queue.dataset.lost;
      detail.replaceChildren(said);
    }
  };
  const close = () => {
    if (!detail.querySelector("[data-full]")) return false;
    const back = rowOf(opened())?.querySelector(".open");
    detail.replaceChildren();
    queue.classList.remove("opened");
    mark(null);
    address(null);
    back?.focus();
    return true;
  };
  queue.addEventListener("focusin", (event) => {
    const link = event.target.closest("[data-list] .open");
    if (link && wide() && byKey) { byKey = false; open(link.closest("[data-task]").dataset.task); }
  });
  queue.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const link = event.target.closest("[data-list] .open");
    if (link && wide()) { event.preventDefault(); open(link.closest("[data-task]").dataset.task); }
    if (event.target.closest("[data-close]") && wide()) { event.preventDefault(); close(); }
  });

  // What was typed before the session ended is back: its sheet is open again.
  for (const back of detail.querySelectorAll("details .draft-back")) back.closest("details").open = true;

  // ---- keys: those that need to know of rows; all others are the frame's ------------------------------------------------
  let byKey = false;
  const ACTS = new Set(["a", "c", "d", "i", "h", "s", "m", "p", "w"]);
  const press = (key) => {
    const button = detail.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!button) return false;
    const sheet = button.closest("summary") && button.closest("details");
    if (!sheet) { button.click(); return true; }
    // Within this very key: what is typed behind it is meant for the field, and must not act as keys.
    for (const other of detail.querySelectorAll("details[open]")) if (other !== sheet) other.open = false;
    sheet.open = true;
    sheet.querySelector("input:not([type=hidden]), textarea, select")?.focus();
    return true;
  };
  const type = (text) => {
    const field = document.activeElement;
    const reason = field.closest("details")?.querySelector(`[data-number="${CSS.escape(text)}"]`);
    if (reason) { reason.checked = true; reason.focus(); } else if (text && typing(field) && field.setRangeText && !field.value) { field.value = text; field.dispatchEvent(new Event("input", { bubbles: true })); }
  };
  const typing = (target) => target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, dialog[open]");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      const sheet = event.target.closest("details[open]");
      if (sheet) { sheet.open = false; sheet.querySelector("summary").focus(); event.preventDefault(); } else if (typing(event.target)) event.target.blur(); else if (close()) event.preventDefault();
      return;
    }
    if (typing(event.target)) return;
    const act = ACTS.has(event.key) || event.key === "u";
    // A key held down, or pressed twice, does nothing to a row that nobody has seen yet.
    if ((act && event.repeat) || (going === "leads" && (act || event.key.length === 1 && event.key !== "j" && event.key !== "k"))) { event.preventDefault(); event.stopPropagation(); return; }
    // A key pressed while the row is still on its way is meant for that row, never for the one before.
    if ((wanted || going) && event.key.length === 1 && (pending || act)) {
      if (pending) pending.text += event.key; else if (event.key !== "u") pending = { key: event.key, text: "" };
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (/^[0-9]$/.test(event.key)) {
      const reason = detail.querySelector(`details[open] [data-number="${event.key}"]`);
      if (reason) { reason.checked = true; reason.focus(); event.preventDefault(); event.stopPropagation(); }
      return;
    }
    if (event.key === "j" || event.key === "k") { byKey = true; return; }
    if (event.key.toLowerCase() === "x") {
      const row = document.activeElement.closest?.("[data-task]") || rowOf(opened());
      const box = row?.querySelector("[data-pick]");
      if (box) { box.checked = !box.checked; pick(box, event.shiftKey); }
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    if (!ACTS.has(event.key) || !press(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("toggle", (event) => {
    const sheet = event.target;
    if (!sheet.open || !sheet.matches?.("details")) return;
    for (const other of sheet.parentElement.querySelectorAll(":scope > details[open]")) if (other !== sheet) other.open = false;
    if (!sheet.contains(document.activeElement) || document.activeElement.matches("summary")) sheet.querySelector("input:not([type=hidden]), textarea, select")?.focus();
  }, true);
  detail.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.target.matches("[type=radio]")) && event.target.form) { event.preventDefault(); event.target.form.querySelector("button[name=act]").click(); }
  });

  // ---- acts: the form goes out, its row changes where it stands, and the next one opens -----------------------------------
  const say = (made) => {
    const main = document.getElementById("main");
    main.querySelector(":scope > .done, :scope > .fault-box")?.remove();
    if (made) { main.prepend(made); }
  };
  const nextOf = (task) => {
    const every = [...document.querySelectorAll("[data-list] > [data-task]")];
    const at = every.findIndex((row) => row.dataset.task === task);
    return [...every.slice(at + 1), ...every.slice(0, Math.max(at, 0))].find((row) => !row.classList.contains("over"));
  };
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-act]") || !wide()) return;
    event.preventDefault();
    if (form.dataset.going) return;
    form.dataset.going = "1";
    form.setAttribute("aria-busy", "true");
    const said = new URLSearchParams(new FormData(form, event.submitter));
    const task = said.get("task");
    const act = form.dataset.act;
    const leads = ["accept", "claim", "decline", "return"].includes(act);
    going = leads ? "leads" : "stays";
    detail.setAttribute("aria-busy", "true");
    let answer, page;
    try {
      answer = await fetch(form.action, { method: "POST", body: said, headers: { "hx-request": "true" } });
      if (answer.headers.get("hx-redirect")) { location.assign(answer.headers.get("hx-redirect")); return; }
      page = read(await answer.text());
    } catch {
      going = pending = null;
      detail.removeAttribute("aria-busy");
      delete form.dataset.going;
      form.removeAttribute("aria-busy");
      const told = document.createElement("p");
      told.className = "fault";
      told.setAttribute("role", "alert");
      told.textContent = queue.dataset.unsure;
      form.after(told);
      return;
    }
    const fault = page.querySelector(".fault-box");
    const taken = page.querySelector("[data-taken]");
    if (fault && !taken) {
      // The form as it came back: what was typed is in it, and a mark of its own.
      const back = page.querySelector("[data-full]");
      if (back) detail.querySelector("[data-full]")?.replaceWith(back);
      going = pending = null;
      detail.removeAttribute("aria-busy");
      say(fault);
      fault.focus();
      return;
    }
    say(fault || page.querySelector("main > .done"));
    // Nobody types in a form that is gone: the next key is an act again.
    byKey = false;
    rowOf(task)?.querySelector(".open").focus({ preventScroll: true });
    if (detail.contains(document.activeElement)) document.activeElement.blur();
    await refresh([task]);
    const following = (fault || leads) && nextOf(task);
    if (following) following.querySelector(".open").focus();
    const on = open(following ? following.dataset.task : task, true);
    if (going === "stays") going = null;
    await on;
    going = null;
  });

  // ---- what happens elsewhere -------------------------------------------------------------------------------------------
  const fresh = new Set();
  const pill = queue.querySelector("[data-pill]");
  let heard = new Set();
  let timer = null;
  const shown = () => [...document.querySelectorAll("[data-list] > [data-task]")].map((row) => row.dataset.task);
  const keep = (row, made) => {
    const box = row.querySelector("[data-pick]");
    const copied = made.querySelector("[data-pick]");
    if (box && copied) copied.checked = box.checked;
    const focused = row.contains(document.activeElement) ? (document.activeElement.matches("[data-pick]") ? "[data-pick]" : ".open") : null;
    const current = row.querySelector(".open[aria-current]");
    // As high as it was, or what stands below would move.
    made.style.minHeight = `${row.getBoundingClientRect().height}px`;
    row.replaceWith(made);
    if (current) made.querySelector(".open").setAttribute("aria-current", "true");
    if (focused) { byKey = false; made.querySelector(focused)?.focus({ preventScroll: true }); }
  };
  const refresh = async (tasks, unasked) => {
    const at = new URL("/queue/rows", location.href);
    for (const [name, value] of here().searchParams) at.searchParams.set(name, value);
    at.searchParams.set("tasks", tasks.slice(0, 200).join(" "));
    let said;
    try {
      // What a page looks at by itself keeps no session alive.
      const answer = await fetch(at, { headers: { "hx-request": "true", ...(unasked && { "X-Background": "1" }) } });
      if (!answer.ok || answer.headers.get("hx-redirect")) return;
      said = read(await answer.text());
    } catch { return; }
    const inside = new Set([...said.querySelectorAll("[data-inside]")].map((one) => one.dataset.inside));
    for (const made of said.querySelectorAll("[data-task]")) {
      const row = rowOf(made.dataset.task);
      if (row) keep(row, made); else if (inside.has(made.dataset.task)) fresh.add(made.dataset.task);
    }
    for (const one of said.querySelectorAll("[data-gone]")) {
      fresh.delete(one.dataset.gone);
      const row = rowOf(one.dataset.gone);
      if (!row) continue;
      row.style.minHeight = `${row.getBoundingClientRect().height}px`;
      row.classList.add("over");
      row.removeAttribute("data-offered");
      const words = document.createElement("p");
      words.className = "now-is";
      const strong = document.createElement("strong");
      strong.textContent = one.textContent;
      words.append(strong);
      (row.querySelector(".sentence") || row.querySelector(".now-is"))?.replaceWith(words);
    }
    for (const one of said.querySelectorAll("[data-counted]")) {
      const place = queue.querySelector(`[data-count="${one.dataset.counted}"]`);
      if (place) place.textContent = one.textContent;
    }
    pill.hidden = fresh.size === 0;
    pill.textContent = fresh.size === 1 ? pill.dataset.one : pill.dataset.several.replace("{n}", fresh.size);
  };
  document.addEventListener("news", (event) => {
    // Without a Task: the stream was away, so everything that is shown is looked at again.
    if (event.detail?.task) heard.add(event.detail.task); else if (!event.detail?.kind) heard = new Set([...heard, ...shown()]);
    if (timer || !heard.size) return;
    timer = setTimeout(async () => {
      const tasks = [...heard];
      heard = new Set();
      timer = null;
      const touched = opened();
      await refresh(tasks, true);
      // The open row changes too, unless somebody is writing in it.
      if (touched && tasks.includes(touched) && opened() === touched && !detail.querySelector("details[open]") && !detail.querySelector("[data-going]")) open(touched, true, true);
    }, 250);
  });
})();
