// A button to copy each [data-copy] snippet. Without script, or where the browser refuses, the text can be selected.
(function () {
  "use strict";

  const SHOWN_MS = 2000;

  function say(text) {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  }

  function select(text) {
    const range = document.createRange();
    range.selectNodeContents(text);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  async function copy(button, text, label) {
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      // Over plain http, or not permitted: it is selected, and one key copies it.
      select(text);
      say(`${label} is selected`);
      return;
    }
    button.textContent = "Copied";
    say(`${label} is copied`);
    window.setTimeout(() => { button.textContent = "Copy"; }, SHOWN_MS);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-copy]").forEach((snippet) => {
      const label = snippet.dataset.copy;
      const text = snippet.querySelector("pre");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button small";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy: ${label}`);
      button.addEventListener("click", () => copy(button, text, label));
      snippet.append(button);
    });
  });
})();
