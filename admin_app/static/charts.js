// Draws each figure's Vega-Lite spec, in the colours of the page's theme, and anew when the theme changes.
// The specs come with the page (drawing.py); the expression interpreter makes no code of text, so no page needs eval.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = new Map();
const tooltip = document.createElement("div");

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function theme() {
  const text = { labelColor: colour("chart-text"), titleColor: colour("chart-text"), titleFontWeight: "normal" };
  const font = { labelFontSize: 12, titleFontSize: 12 };
  const series = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => colour(`series-${number}`));
  return {
    background: null,
    font: "system-ui, sans-serif",
    aria: false,
    view: { stroke: null },
    range: { category: series, symbol: ["circle", "square", "triangle-up", "diamond"] },
    line: { strokeWidth: 2 },
    point: { size: 50, filled: true, opacity: 1 },
    area: { stroke: colour("chart-edge"), strokeWidth: 0.5 },
    bar: { stroke: colour("chart-edge"), strokeWidth: 0.5 },
    axis: { ...text, ...font, grid: false, ticks: false, labelPadding: 6, titlePadding: 8, domainColor: colour("chart-line") },
    axisX: { labelOverlap: "parity", labelSeparation: 4, labelBound: true },
    axisY: { grid: true, gridColor: colour("chart-line"), domain: false },
    axisBand: { grid: false },
    scale: { bandPaddingInner: 0.6, bandPaddingOuter: 0.3 },
    style: {
      share: { color: series[0] },
      words: { color: colour("chart-text"), fontSize: 12, baseline: "bottom", dy: -12 },
      off: { color: colour("chart-off"), stroke: colour("chart-off"), strokeWidth: 2 },
      pointer: { color: colour("chart-text"), opacity: 0 },
    },
  };
}

function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

// Vega's own leaves the window where it is narrow
function tell({ head, told }) {
  return (handler, event, item, datum) => {
    tooltip.hidden = !datum;
    if (!datum) return;
    const row = ([key, name]) => element("tr", element("th", name), element("td", datum[key].toLocaleString("en")));
    tooltip.replaceChildren(element("strong", datum[head]), element("table", ...told.map(row)));
    const { clientX, clientY } = event.changedTouches?.[0] ?? event;
    place("left", clientX, tooltip.offsetWidth, window.innerWidth);
    place("top", clientY, tooltip.offsetHeight, window.innerHeight);
  };
}

function place(side, pointed, size, room) {
  const after = pointed + 16;
  const fits = after + size <= room ? after : pointed - 16 - size;
  tooltip.style[side] = `${Math.max(4, Math.min(fits, room - size - 4))}px`;
}

async function draw(here) {
  drawn.get(here)?.finalize();
  const spec = JSON.parse(here.parentElement.querySelector("script[type='application/json']").textContent);
  const options = { mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false };
  const drawing = await window.vegaEmbed(here, spec, { ...options, tooltip: tell(spec.usermeta), config: theme() });
  // the element around it is the image, and has the words for it
  here.querySelector("svg")?.setAttribute("aria-hidden", "true");
  drawn.set(here, drawing);
  here.setAttribute("role", "img");
  here.setAttribute("aria-label", spec.description);
}

// what cannot be drawn is still there in numbers
function sayNotDrawn(here) {
  here.removeAttribute("role");
  here.textContent = "This chart could not be drawn. Its numbers are in the table below.";
  here.closest("figure").querySelector("details").open = true;
}

function drawAll() {
  for (const here of document.querySelectorAll("[data-drawing]")) {
    draw(here).catch((error) => {
      sayNotDrawn(here);
      throw error;
    });
  }
}

tooltip.id = "chart-tooltip";
tooltip.hidden = true;
document.body.append(tooltip);
drawAll();
dark.addEventListener("change", drawAll);
