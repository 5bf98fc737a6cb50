// Keys for links that name theirs with data-key ("g o", "[", "x"); the help dialog is made from the same attributes.
// Not loaded at all for people who switched single-letter keys off.
(function () {
  "use strict";

  const PAIR_MS = 1200;
  let first = "";
  let since = 0;

  function typing(target) {
    return target.closest && target.closest("input, select, textarea, [contenteditable], dialog[open]");
  }

  function targets() {
    return [...document.querySelectorAll("[data-key]")];
  }

  function help() {
    const dialog = document.getElementById("shortcuts");
    if (!dialog || dialog.open) return;
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    const rows = targets().map((one) => [one.dataset.key, one.dataset.label]);
    for (const [key, label] of [["?", "This help"], ["t", "Show the figures behind the chart"], ...rows]) {
      const term = document.createElement("dt");
      for (const part of key.split(" ")) {
        const cap = document.createElement("kbd");
        cap.textContent = part === "Escape" ? "Esc" : part;
        term.append(cap, " ");
      }
      const what = document.createElement("dd");
      what.textContent = label;
      list.append(term, what);
    }
    dialog.showModal();
  }

  function behind() {
    const details = document.querySelector("details.behind");
    if (details) {
      details.open = !details.open;
      details.querySelector("summary").focus();
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || typing(event.target)) return;
    if (event.key === "Escape" && document.querySelector("details.drop[open], details.switch[open]")) return;
    const pair = first && Date.now() - since < PAIR_MS ? `${first} ${event.key}` : "";
    first = "";
    const found = targets().find((one) => one.dataset.key === pair || (!pair && one.dataset.key === event.key));
    if (found) {
      event.preventDefault();
      found.click();
      if (found.tagName === "SUMMARY") found.focus();
    } else if (event.key === "?") {
      help();
    } else if (event.key === "t") {
      behind();
    } else if (event.key === "g") {
      first = "g";
      since = Date.now();
    }
  });
})();
