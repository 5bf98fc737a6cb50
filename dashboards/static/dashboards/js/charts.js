// Draws every [data-plot] with the vendored Plotly, in the colours of the tokens; again when the theme changes and
// when htmx brings a new part. Without this file the page shows the server's own drawing and the table behind it.
(function () {
  "use strict";

  // Computed custom properties keep their light-dark() text; the colour of an element resolves it.
  function resolver() {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    return {
      colour(token) {
        probe.style.color = `var(--${token})`;
        return getComputedStyle(probe).color;
      },
      done() { probe.remove(); },
    };
  }

  function trace(one, tokens) {
    const colour = tokens.colour(one.slot ? `series-${one.slot}` : "series-other");
    return {
      type: one.type, name: one.name, x: one.x, y: one.y, customdata: one.text, meta: one.href,
      marker: {
        color: colour,
        line: { color: tokens.colour("panel"), width: 0.75 },
        pattern: { fillmode: "overlay", shape: one.hatched.map((h) => (h ? "/" : "")), fgcolor: tokens.colour("panel"), size: 5, solidity: 0.3 },
      },
      hovertemplate: "%{x}<br>%{fullData.name}<br><b>%{customdata}</b><extra></extra>",
    };
  }

  function layout(spec, tokens, wide) {
    const line = tokens.colour("line");
    return {
      barmode: "relative", bargap: 0.22, autosize: true, showlegend: false, dragmode: false,
      margin: { l: wide ? 56 : 44, r: 8, t: 6, b: 40 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: tokens.colour("ink-soft") },
      hoverlabel: { bgcolor: tokens.colour("panel"), bordercolor: tokens.colour("line-strong"), font: { color: tokens.colour("ink") }, align: "left" },
      xaxis: {
        type: "category", fixedrange: true, tickangle: 0, nticks: wide ? 9 : 4, showgrid: false, linecolor: line, ticks: "",
        tickmode: "array", ...ticks(spec.traces[0].x, wide ? 8 : 3),
      },
      yaxis: { fixedrange: true, gridcolor: line, zerolinecolor: line, tickformat: ",.2~s", tickprefix: spec.currency === "USD" ? "$" : "", ticksuffix: spec.currency === "USD" ? "" : ` ${spec.currency}`, nticks: 5 },
    };
  }

  // A few names along the bottom, evenly spread; the year stands below the first, where it is clear of the axis.
  function ticks(names, most) {
    const step = Math.max(1, Math.ceil(names.length / most));
    const values = names.filter((_, index) => index % step === 0);
    return { tickvals: values, ticktext: values.map((name, index) => name.replace(/^Week of /, "").replace(/ (\d{4})$/, index ? "" : "<br>$1")) };
  }

  function draw(place) {
    const data = document.getElementById(place.dataset.plot);
    if (!data || !window.Plotly) return;
    const spec = JSON.parse(data.textContent);
    const tokens = resolver();
    const traces = spec.traces.map((one) => trace(one, tokens));
    const shape = layout(spec, tokens, place.clientWidth > 560);
    tokens.done();
    place.classList.add("drawn");
    window.Plotly.react(place, traces, shape, { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false }).then(() => {
      if (place.dataset.heard) return;
      place.dataset.heard = "1";
      place.on("plotly_click", (event) => {
        const href = event.points[0] && event.points[0].fullData.meta;
        if (href) window.location.assign(href);
      });
    });
  }

  function drawAll(root) {
    root.querySelectorAll("[data-plot]").forEach(draw);
  }

  document.addEventListener("DOMContentLoaded", () => drawAll(document));
  document.addEventListener("htmx:afterSettle", (event) => drawAll(event.target));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(document));
})();
