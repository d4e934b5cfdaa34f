// What happens elsewhere, as the DOM event "news" on the document: one stream for all tabs of a browser, because a browser opens
// few connections to one host. The tab that holds the lock listens and tells the others; when it is closed another one goes on.
"use strict";

(() => {
  const box = document.getElementById("link");
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("yuanshe") : null;
  const show = (said) => {
    if ("up" in said) {
      document.documentElement.dataset.live = said.up ? "on" : "off";
      if (box) box.textContent = said.up ? "" : box.dataset.off;
    } else document.dispatchEvent(new CustomEvent("news", { detail: said.data }));
  };
  const tell = (said) => { show(said); channel?.postMessage(said); };
  const listen = () => new Promise(() => {
    const stream = new EventSource("/events");
    stream.onopen = () => tell({ up: true });
    stream.onmessage = (event) => tell({ data: JSON.parse(event.data).data });
    stream.onerror = () => {
      tell({ up: false });
      // Refused for good (a session that ended): the next page leads to the door.
      if (stream.readyState === EventSource.CLOSED) document.documentElement.dataset.live = "ended";
    };
    // A page that is left for another keeps neither the stream nor the lock.
    window.addEventListener("pagehide", () => stream.close(), { once: true });
  });
  channel?.addEventListener("message", (event) => {
    if (event.data === "up?") { if (document.documentElement.dataset.live) channel.postMessage({ up: document.documentElement.dataset.live === "on" }); }
    else show(event.data);
  });
  if (channel && navigator.locks) { navigator.locks.request("yuanshe-live", listen); channel.postMessage("up?"); } else listen();
  // A page that comes back from the browser's memory has missed what happened: whatever is live on it looks again.
  window.addEventListener("pageshow", (event) => { if (event.persisted) show({ data: {} }); });
})();
