// Draws what stands in `data-chart`; the table beside each chart says the same to whoever does not see it.
"use strict";

(() => {
  const charts = [];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const draw = (box) => {
    const said = JSON.parse(box.dataset.chart);
    const lines = [colour("--accent"), colour("--amber"), colour("--quiet")];
    const bars = said.series.filter((one) => one.kind === "bars").length;
    let bar = 0;
    const day = (seconds) => new Date(seconds * 1000).toLocaleDateString(said.language, { month: "numeric", day: "numeric", timeZone: "Asia/Shanghai" });
    const word = (at) => (said.labels ? said.labels[at] ?? "" : day(at));
    const options = {
      width: box.clientWidth, height: 220, cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, range: (_, low, high) => (said.labels ? [-0.6, high + 0.6] : [low - 4e5, high + 4e5]) }, y: { range: (_, __, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [
        { stroke: colour("--quiet"), grid: { show: false }, splits: () => said.x.filter((_, n) => n % Math.ceil((said.x.length * 56) / Math.max(box.clientWidth - 64, 56)) === 0), values: (_, at) => at.map((one) => (said.labels && !Number.isInteger(one) ? "" : word(one))) },
        { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, size: 48, values: (_, at) => at.map((one) => (Number.isInteger(one) || said.unit ? String(one) : "")) },
      ],
      series: [
        { label: said.labels ? "" : said.week, value: (_, at) => (at == null ? "" : word(at)) },
        ...said.series.map((one, n) => ({
          label: one.name + (said.unit ? ` (${said.unit})` : ""), stroke: lines[n % lines.length], width: 2, spanGaps: true,
          dash: n % 2 && one.kind !== "bars" ? [6, 4] : undefined,
          ...(one.kind === "bars" ? { paths: uPlot.paths.bars({ size: [bars > 1 ? 0.35 : 0.6, 48], align: bars > 1 ? (bar++ ? 1 : -1) : 0 }), fill: `${lines[n % lines.length]}44`, points: { show: false } } : {}),
        })),
      ],
    };
    charts.push([box, new uPlot(options, [said.x, ...said.series.map((one) => one.values)], box)]);
  };
  document.querySelectorAll("[data-chart]").forEach(draw);
  // A window of another size, another theme: drawn anew, and the page around it does not move.
  new ResizeObserver(() => charts.forEach(([box, chart]) => chart.setSize({ width: box.clientWidth, height: 220 }))).observe(document.getElementById("main"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { charts.splice(0).forEach(([box, chart]) => { chart.destroy(); draw(box); }); });
})();
