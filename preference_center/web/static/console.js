// Asks for this page again every ten seconds while it is seen, and replaces each element that has
// an id and `data-live` by its new version. Without this script the page has a link to refresh.
(function () {
  "use strict";
  var INTERVAL = 10000;
  var timer = 0;

  function openDetails(element) {
    return Array.prototype.map.call(element.querySelectorAll("details"), function (each) {
      return each.open;
    });
  }

  // Where the keyboard is inside an element: the place among all that it can reach.
  var REACHED = "a[href], button, input, select, summary, [tabindex]";

  function replace(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    var opened = openDetails(old);
    var place = Array.prototype.indexOf.call(old.querySelectorAll(REACHED), document.activeElement);
    var scrolled = old.querySelector(".scroll");
    var left = scrolled ? scrolled.scrollLeft : 0;
    fresh.querySelectorAll("details").forEach(function (each, index) {
      each.open = Boolean(opened[index]);
    });
    // A live region stays the same element, else its new text is not announced.
    if (old.getAttribute("role") === "status") old.className = fresh.className;
    if (old.getAttribute("role") === "status") old.replaceChildren.apply(old, fresh.childNodes);
    else old.replaceWith(fresh);
    if (left) fresh.querySelector(".scroll").scrollLeft = left;
    var target = place < 0 ? null : fresh.querySelectorAll(REACHED)[place];
    if (target) target.focus({ preventScroll: true });
  }

  function show(html) {
    var page = new DOMParser().parseFromString(html, "text/html");
    document.querySelectorAll("[data-live][id]").forEach(function (old) {
      var fresh = page.getElementById(old.id);
      if (fresh) replace(old, document.adoptNode(fresh));
    });
  }

  function poll() {
    if (document.hidden) return;
    fetch(location.href, { headers: { "X-Requested-With": "poll" }, redirect: "error" })
      .then(function (answer) {
        return answer.ok ? answer.text().then(show) : null;
      })
      .catch(function () {}); // the next one may succeed; the page says how old it is
  }

  function start() {
    clearInterval(timer);
    timer = setInterval(poll, INTERVAL);
  }

  document.addEventListener("visibilitychange", function () {
    if (document.hidden) return;
    poll();
    start();
  });
  start();
})();
