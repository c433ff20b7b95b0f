// Records the browser's Global Privacy Control for the link of this page (docs/gpc.md), and says so.
"use strict";

(async () => {
  const notice = document.querySelector("[data-gpc]");
  if (!notice || !navigator.globalPrivacyControl) return;
  const response = await fetch(notice.dataset.gpc, { method: "POST", credentials: "omit" }).catch(() => null);
  if (!response?.ok) return; // the next button records it
  for (const each of notice.querySelectorAll("[data-recorded]")) each.hidden = !each.hidden;
})();
