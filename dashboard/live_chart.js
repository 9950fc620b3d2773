// Give a chart new numbers without touching what the user did to it. Called again on every change of data or theme.
const charts = new WeakMap()
const MODEBAR = { displayModeBar: false, displaylogo: false, responsive: false, doubleClick: "reset" }

function loadPlotly(src) {
  if (!window.sslPlotly) {
    window.sslPlotly = new Promise((done, failed) => {
      const script = document.createElement("script")
      script.src = src
      script.onload = () => done(window.Plotly)
      script.onerror = () => { window.sslPlotly = null; failed(new Error("could not load " + src)) }
      document.head.appendChild(script)
    })
  }
  return window.sslPlotly
}

// "var(--st-text-color)" -> the colour it has now
function resolve(value, style) {
  if (typeof value === "string") {
    const found = /^var\((--[\w-]+)\)$/.exec(value)
    return found ? style.getPropertyValue(found[1]).trim() : value
  }
  if (Array.isArray(value)) return value.map((item) => resolve(item, style))
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolve(item, style)]))
  }
  return value
}

function themed(figure, view, width, style) {
  const { data, layout } = resolve(figure, style)
  const text = style.getPropertyValue("--st-text-color").trim()
  const border = style.getPropertyValue("--st-border-color").trim()
  const narrow = width < 380
  const axis = { gridcolor: border, linecolor: border, zerolinecolor: border, zeroline: false, automargin: true }
  const full = {
    ...layout, uirevision: view, autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: narrow ? 11 : 12, family: style.getPropertyValue("--st-font").trim() || "sans-serif" },
    hoverlabel: { bgcolor: style.getPropertyValue("--st-secondary-background-color").trim(), bordercolor: border, font: { color: text } },
    dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  }
  if (full.yaxis.uirevision) full.yaxis.uirevision = view + full.yaxis.uirevision
  full.xaxis.title = { standoff: 4, font: { size: narrow ? 11 : 12 }, ...full.xaxis.title }
  full.legend = { bgcolor: "rgba(0,0,0,0)", font: { size: narrow ? 10 : 12 }, itemwidth: 30, ...full.legend }
  return [data, full]
}

function numbers(values) {  // plotly's typed array, or a plain one
  if (!values || !values.bdata) return Array.from(values || [])
  const bytes = Uint8Array.from(atob(values.bdata), (c) => c.charCodeAt(0))
  return Array.from(new Float32Array(bytes.buffer))
}

// One row for each x; columns are the traces, smoothed ones rather than their faint raw twins.
function table(figure) {
  const flat = figure.data[0] && figure.data[0].orientation === "h"
  const shown = figure.data.filter((trace) => trace.showlegend !== false)
  const rows = new Map()
  shown.forEach((trace, column) => {
    const [x, y] = [numbers(flat ? trace.y : trace.x), numbers(flat ? trace.x : trace.y)]
    x.forEach((at, i) => {
      if (!rows.has(at)) rows.set(at, new Array(shown.length).fill(""))
      if (Number.isFinite(y[i])) rows.get(at)[column] = Number(y[i].toPrecision(6))
    })
  })
  const first = (figure.layout.xaxis.title || {}).text === "step" ? "step" : "class"
  return [[first, ...shown.map((trace) => trace.name)], ...[...rows].map(([at, row]) => [at, ...row])]
}

function fillTable(chart) {
  const [head, ...rows] = table(chart.figure)
  const element = document.createElement("table")
  for (const row of [head, ...rows.slice(-200).reverse()]) {
    const line = element.insertRow()
    for (const value of row) {
      const cell = document.createElement(row === head ? "th" : "td")
      cell.textContent = value
      line.appendChild(cell)
    }
  }
  chart.table.replaceChildren(element)
}

function cell(value) {  // no formula in a spreadsheet, quotes doubled
  const text = String(value)
  return typeof value === "number" ? text : '"' + (/^[=+\-@\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""') + '"'
}

function download(name, href) {
  const link = document.createElement("a")
  link.href = href
  link.download = name
  link.click()
}

function addTools(chart, box) {
  const tools = box.querySelector(".tools")
  const add = (label, title, action) => {
    const button = document.createElement("button")
    button.type = "button"
    button.textContent = label
    button.title = title
    button.setAttribute("aria-label", title)
    button.onclick = () => action(button)
    tools.appendChild(button)
  }
  add("data", "Show the numbers of this chart", (button) => {
    const open = box.classList.toggle("open")
    button.setAttribute("aria-pressed", open)
    if (open) { box.insertBefore(chart.table, tools); fillTable(chart) } else chart.table.remove()
  })
  add("csv", "Save the numbers as CSV", () => {
    const lines = table(chart.figure).map((row) => row.map(cell).join(","))
    download(chart.name + ".csv", URL.createObjectURL(new Blob([lines.join("\r\n")], { type: "text/csv" })))
  })
  add("png", "Save the chart as a picture", async () => {
    const paper = chart.style.getPropertyValue("--st-background-color").trim()
    const picture = { data: chart.plot.data, layout: { ...chart.plot.layout, paper_bgcolor: paper } }
    const size = { format: "png", scale: 2, width: chart.plot.clientWidth, height: chart.plot.clientHeight }
    download(chart.name + ".png", await window.Plotly.toImage(picture, size))
  })
}

// A chart that is scrolled out of sight, or in a hidden tab, is drawn once it comes into sight: half of the work saved.
function draw(chart, plotly) {
  const width = chart.plot.clientWidth
  chart.stale = !width || !chart.seen || document.hidden
  if (chart.stale) return
  const [data, layout] = themed(chart.figure, chart.view, width, chart.style)
  chart.width = width
  plotly.react(chart.plot, data, { ...layout, width, height: chart.plot.clientHeight }, MODEBAR)
  chart.wait.textContent = data.length ? "" : chart.waitText
  if (chart.table.isConnected) fillTable(chart)
}

function mount(box, data) {
  const chart = {
    plot: box.querySelector(".plot"), wait: box.querySelector(".wait"), table: document.createElement("div"),
    style: getComputedStyle(box), name: data.name, seen: false,
  }
  chart.table.className = "table"
  chart.table.tabIndex = 0
  addTools(chart, box)
  const again = () => { if (window.Plotly && chart.figure) draw(chart, window.Plotly) }
  chart.resized = new ResizeObserver(() => { if (chart.plot.clientWidth !== chart.width) again() })
  chart.resized.observe(box)
  chart.watched = new IntersectionObserver((entries) => {
    chart.seen = entries[entries.length - 1].isIntersecting
    if (chart.stale) again()
  }, { root: box.closest("[data-testid=stMain]"), rootMargin: "200px" })  // a margin counts only for the one that scrolls
  chart.watched.observe(box)
  chart.shown = () => { if (chart.stale) again() }
  document.addEventListener("visibilitychange", chart.shown)
  return chart
}

function unmount(chart) {
  chart.resized.disconnect()
  chart.watched.disconnect()
  document.removeEventListener("visibilitychange", chart.shown)
  if (window.Plotly) window.Plotly.purge(chart.plot)
}

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".ssl-chart")
  if (!data.figure) {  // nothing to draw yet: only load what draws
    box.hidden = true
    loadPlotly(data.src).catch(() => {})
    return
  }
  const chart = charts.get(parentElement) || mount(box, data)
  charts.set(parentElement, chart)
  Object.assign(chart, { figure: data.figure, view: data.view, waitText: data.wait })
  box.style.height = data.height + "px"
  box.setAttribute("aria-label", data.alt)
  loadPlotly(data.src).then((plotly) => draw(chart, plotly)).catch((problem) => { chart.wait.textContent = problem.message })
  return () => {
    charts.delete(parentElement)
    unmount(chart)
  }
}
