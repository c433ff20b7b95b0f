// Renews the live parts of the page in place, so that nothing jumps and no focus is lost.
const EVERY = 700; // milliseconds

async function renew() {
  try {
    const answer = await fetch(location.href);
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(part.id);
        if (next && next.innerHTML !== part.innerHTML) part.innerHTML = next.innerHTML;
      }
    }
    document.body.classList.toggle("lost", !answer.ok);
  } catch {
    document.body.classList.add("lost"); // `make run` was stopped
  }
  setTimeout(renew, EVERY);
}

setTimeout(renew, EVERY);
