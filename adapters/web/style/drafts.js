// What is typed into a form outlives the session: kept in this tab alone, for this account alone, until the form was taken.
// A form asks for it with data-draft="<key>"; hidden fields, passwords and files are never kept.
"use strict";

(() => {
  const PREFIX = "yuanshe-draft:";
  const OLDEST = 12 * 3600 * 1000;
  const account = document.body.dataset.account;
  let store;
  try { store = window.sessionStorage; store.getItem(PREFIX); } catch { return; }

  const all = () => Object.keys(store).filter((name) => name.startsWith(PREFIX));
  const read = (name) => { try { return JSON.parse(store.getItem(name)); } catch { return null; } };
  const write = (name, draft) => { try { store.setItem(name, JSON.stringify(draft)); } catch { /* full: the page works on */ } };
  const forget = (name) => store.removeItem(name);
  const name = (form) => `${PREFIX}${account}:${form.dataset.draft}`;
  const kept = (field) => field.name && field.name !== "token" && field.name !== "once" && !field.disabled
    && !["hidden", "password", "file", "submit", "button", "reset", "image"].includes(field.type) && !("draftNot" in field.dataset);
  const fields = (form) => [...form.elements].filter(kept);

  const typed = (form) => fields(form).map((field) => {
    if (field.type === "checkbox" || field.type === "radio") return [field.name, field.value, field.checked];
    if (field.multiple && field.options) return [field.name, [...field.options].filter((one) => one.selected).map((one) => one.value)];
    return [field.name, field.value];
  });

  const fill = (form, values) => {
    const left = [...values];
    let changed = false;
    for (const field of fields(form)) {
      const marks = field.type === "checkbox" || field.type === "radio";
      const at = left.findIndex((one) => one[0] === field.name && (!marks || one[1] === field.value));
      if (at < 0) continue;
      const [[, value, checked]] = left.splice(at, 1);
      const before = marks ? field.checked : field.value;
      if (marks) field.checked = checked;
      else if (Array.isArray(value)) for (const one of field.options ?? []) one.selected = value.includes(one.value);
      else field.value = value;
      if ((marks ? field.checked : field.value) === before && !Array.isArray(value)) continue;
      changed = true;
      // What else the page does as one types (a ranking, a count) is done for what came back too.
      for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
    }
    return changed;
  };

  const shown = new Set();
  const forms = (within) => [...within.querySelectorAll("form[data-draft]")];
  const words = document.getElementById("draft-back");

  const say = (form) => {
    if (!words || form.querySelector(".draft-back")) return;
    const said = words.content.firstElementChild.cloneNode(true);
    said.querySelector("button").addEventListener("click", () => { forget(name(form)); form.reset(); said.remove(); });
    form.prepend(said);
  };

  const restore = (within) => {
    for (const form of forms(within)) {
      const draft = read(name(form));
      if (!draft) continue;
      // What the server shows again beside its fault is newer than what was kept.
      if (!shown.has(name(form)) && fill(form, draft.values)) say(form);
    }
  };

  if (!account) {
    // At the door: whatever was on its way was not taken.
    for (const one of all()) { const draft = read(one); if (draft) write(one, { ...draft, sent: false }); }
    return;
  }

  const how = performance.getEntriesByType("navigation")[0]?.type;
  const faulty = document.querySelector("[data-fault]");
  for (const one of all()) {
    const draft = read(one);
    // Another person at this screen; or older than any session; or taken, since a page came that finds no fault with it.
    const taken = draft?.sent && !faulty && how === "navigate";
    if (!draft || !one.startsWith(`${PREFIX}${account}:`) || Date.now() - draft.at > OLDEST || taken) { forget(one); continue; }
    if (draft.sent) { write(one, { ...draft, sent: false }); if (faulty) shown.add(one); }
  }
  restore(document);

  const keep = (event) => {
    const form = event.target.form;
    if (!form?.dataset?.draft || !event.isTrusted) return;
    // A page that is left lets go of its field: that says nothing new of a form that is on its way.
    if (event.type === "change" && form.dataset.sent) return;
    write(name(form), { at: Date.now(), sent: false, values: typed(form) });
  };
  document.addEventListener("input", keep);
  document.addEventListener("change", keep);
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.getAttribute("action") === "/sign-out") { all().forEach(forget); return; }
    // A second press of what is on its way is stopped elsewhere, and says nothing about the first.
    if (form.dataset.draft && !(event.defaultPrevented && form.dataset.sent)) write(name(form), { at: Date.now(), sent: !event.defaultPrevented, values: typed(form) });
  });

  // The same for what htmx sends and brings.
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.detail.requestConfig?.elt?.closest?.("form[data-draft]");
    const led = event.detail.xhr?.getResponseHeader("HX-Redirect") ?? "";
    if (!form || (event.detail.requestConfig.verb ?? "get") === "get") return;
    if (event.detail.successful && !led.startsWith("/sign-in")) forget(name(form));
    else write(name(form), { at: Date.now(), sent: false, values: typed(form) });
  });
  document.addEventListener("htmx:afterSettle", (event) => restore(event.target.parentNode ?? document));

  // What a page fetches by itself is nobody's use of it, and keeps no session alive.
  document.addEventListener("htmx:configRequest", (event) => {
    const by = event.detail.triggeringEvent;
    if (event.detail.verb === "get" && !(by && by.isTrusted)) event.detail.headers["X-Background"] = "1";
  });

  // ---- the end of a session: every tab knows of the latest use, and what is shown of people does not stay on the screen ----
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("yuanshe-session") : null;
  const ends = () => Number(document.body.dataset.ends);
  const ahead = Date.now() - Number(document.body.dataset.now) * 1000; // This machine's clock may be wrong.
  channel?.addEventListener("message", (event) => {
    if (event.data.account === account && event.data.ends > ends()) {
      document.body.dataset.ends = event.data.ends;
      document.dispatchEvent(new CustomEvent("session-longer"));
    }
  });
  const tell = () => channel?.postMessage({ account, ends: ends() });
  document.addEventListener("session-stays", tell);
  tell();
  const leave = () => {
    const left = ends() * 1000 + ahead - Date.now();
    if (left > 0) { setTimeout(leave, Math.min(left + 1000, 2 ** 30)); return; }
    const back = document.body.dataset.back || location.pathname + location.search;
    location.replace(`/sign-in?ended=1&next=${encodeURIComponent(back)}`);
  };
  leave();
})();
