// The list never moves under the reader: that something changed is said, and they decide when to look.
"use strict";
(() => {
  const pill = document.getElementById("news");
  if (!pill) return;
  pill.querySelector("a").setAttribute("href", location.pathname + location.search);
  document.addEventListener("news", () => { pill.hidden = false; });
})();
