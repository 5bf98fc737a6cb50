// Tells screen readers what htmx changed, keeps one dropdown open at a time, and polls what asked for it: quickly
// while looked at, slowly when hidden, never while paused.
(function () {
  "use strict";

  const QUICK_MS = 3000;
  const SLOW_MS = 60000;

  function say(text) {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const target = event.detail.target;
    if (target) target.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const target = event.detail.target;
    if (target) target.removeAttribute("aria-busy");
    if (event.detail.failed) say("That did not load. Try again.");
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const named = event.target.closest ? event.target.closest("[data-announce]") || event.target.querySelector("[data-announce]") : null;
    if (named) say(named.dataset.announce);
  });

  document.addEventListener("toggle", (event) => {
    if (event.target.matches && event.target.matches("details.drop, details.switch") && event.target.open) {
      document.querySelectorAll("details.drop[open], details.switch[open]").forEach((other) => {
        if (other !== event.target) other.open = false;
      });
    }
  }, true);
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.drop[open], details.switch[open]").forEach((open) => {
      if (!open.contains(event.target)) open.open = false;
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.drop[open], details.switch[open]").forEach((open) => {
      open.open = false;
      open.querySelector("summary").focus();
    });
  });

  // [data-poll] elements are refetched by htmx on the event `poll`; the server leaves the attribute off when done.
  let last = 0;
  window.setInterval(() => {
    const wait = document.hidden ? SLOW_MS : QUICK_MS;
    if (Date.now() - last < wait) return;
    last = Date.now();
    const paused = document.querySelector("[data-poll-pause]:checked");
    if (paused || !window.htmx) return;
    document.querySelectorAll("[data-poll]").forEach((one) => window.htmx.trigger(one, "poll"));
  }, 1000);
})();
