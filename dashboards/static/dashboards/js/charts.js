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

  // A plot of two measures: lines, a band, dots, dots with bars.
  function curve(one, tokens, wide) {
    const colour = tokens.colour(one.slot ? `series-${one.slot}` : "series-other");
    const dots = one.look === "dots" || one.look === "spans";
    const found = {
      type: "scatter", name: one.name, x: one.x, y: one.y, customdata: one.text, mode: dots ? "markers" : "lines",
      line: { color: colour, width: one.look === "band" ? 0 : 2, dash: one.look === "threshold" ? "dash" : "solid" },
      marker: { color: colour, size: 10, line: { color: tokens.colour("panel"), width: 1 } },
      hovertemplate: one.text.length ? "%{customdata}<extra></extra>" : undefined,
    };
    if (!one.text.length) found.hoverinfo = "skip";
    if (one.look === "band") Object.assign(found, { fill: "toself", fillcolor: colour.replace("rgb(", "rgba(").replace(")", ", 0.18)") });
    if (one.look === "spans") found.error_y = { type: "data", symmetric: false, array: one.above, arrayminus: one.below, color: colour, thickness: 2, width: 6 };
    if (wide && one.labels.length) {
      Object.assign(found, { mode: "markers+text", text: one.labels, textposition: "top center", cliponaxis: false, textfont: { color: tokens.colour("ink-soft") } });
    }
    return found;
  }

  function axis(one, tokens, most) {
    const line = tokens.colour("line");
    const names = one.names.length ? { zeroline: false, tickmode: "array", tickvals: one.names.map((_, index) => index), tickangle: 0, ticktext: one.names.map((name) => (most > 4 ? name : name.split("<br>")[0])) } : {};
    return {
      title: { text: one.title, standoff: 8 }, range: one.span, fixedrange: true, gridcolor: line, zerolinecolor: tokens.colour("line-strong"),
      tickprefix: one.prefix, ticksuffix: one.suffix, nticks: most, tickformat: ",~f", ...names,
    };
  }

  function plotLayout(spec, tokens, wide) {
    return {
      ...shared(tokens), margin: { l: wide ? 64 : 52, r: 12, t: 14, b: 48 }, hovermode: "closest",
      xaxis: axis(spec.across, tokens, wide ? 8 : 4), yaxis: axis(spec.up, tokens, 6),
    };
  }

  function shared(tokens) {
    return {
      autosize: true, showlegend: false, dragmode: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: tokens.colour("ink-soft") },
      hoverlabel: { bgcolor: tokens.colour("panel"), bordercolor: tokens.colour("line-strong"), font: { color: tokens.colour("ink") }, align: "left" },
    };
  }

  function layout(spec, tokens, wide) {
    const line = tokens.colour("line");
    return {
      ...shared(tokens), barmode: "relative", bargap: 0.22, margin: { l: wide ? 56 : 44, r: 8, t: 6, b: 40 },
      xaxis: {
        type: "category", fixedrange: true, tickangle: 0, nticks: wide ? 9 : 4, showgrid: false, linecolor: line, ticks: "",
        tickmode: "array", ...ticks(spec.traces[0].x, wide ? 8 : 3),
      },
      yaxis: { fixedrange: true, gridcolor: line, zerolinecolor: line, tickformat: amounts(spec.traces), tickprefix: spec.currency === "USD" ? "$" : "", ticksuffix: spec.currency === "USD" ? "" : ` ${spec.currency}`, nticks: 5 },
    };
  }

  // "$20k" where there are thousands; of half a dollar d3 would say "$500m", which a person takes for millions.
  function amounts(traces) {
    const most = traces[0].x.map((_, place) => traces.reduce((sum, one) => sum + Math.abs(Number(one.y[place]) || 0), 0));
    return Math.max(0, ...most) < 1000 ? ",~f" : ",.2~s";
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
    const wide = place.clientWidth > 560;
    const traces = spec.traces.map((one) => (spec.across ? curve(one, tokens, wide) : trace(one, tokens)));
    const shape = (spec.across ? plotLayout : layout)(spec, tokens, wide);
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
