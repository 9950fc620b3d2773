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

// What Python sent: a line about the chart, then the figure, in which arrays are named by their number.
function read(data) {
  const text = new TextDecoder().decode(data)
  const end = text.indexOf("\n")
  return [JSON.parse(text.slice(0, end)), text.slice(end + 1)]
}

// Of the feed: the figure, then its arrays, each a text of its own.
function fed(name, view) {
  const feed = window.sslFeed
  return feed && feed.view === view ? feed.charts.get(name) : undefined
}

function revive(content) {
  const { data, layout, arrays } = Array.isArray(content) ? { ...JSON.parse(content[0]), arrays: content.slice(1) } : JSON.parse(content)
  const known = arrays.map((bdata) => ({ dtype: "f4", bdata }))
  for (const trace of data) {
    for (const [name, value] of Object.entries(trace)) if (value && value.ref !== undefined) trace[name] = known[value.ref]
  }
  return { data, layout }
}

function themed(figure, view, width, style) {
  const { data, layout } = resolve(figure, style)
  const text = style.getPropertyValue("--st-text-color").trim()
  const border = style.getPropertyValue("--st-border-color").trim()
  const narrow = width < 380
  const axis = { gridcolor: border, linecolor: border, zerolinecolor: border, zeroline: false }
  const full = {
    ...layout, uirevision: view, autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: narrow ? 12 : 15, family: style.getPropertyValue("--st-font").trim() || "sans-serif" },
    hoverlabel: { bgcolor: style.getPropertyValue("--st-secondary-background-color").trim(), bordercolor: border, font: { color: text, size: 14 } },
    dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
  }
  if (full.yaxis.uirevision) full.yaxis.uirevision = view + full.yaxis.uirevision
  for (const each of [full.xaxis, full.yaxis]) each.title = { standoff: 4, font: { size: narrow ? 12 : 15 }, ...each.title }
  full.legend = { bgcolor: "rgba(0,0,0,0)", font: { size: narrow ? 11 : 15 }, itemwidth: 30, ...full.legend }
  return [data, full]
}

function numbers(values) {  // plotly's typed array, or a plain one
  if (!values || !values.bdata) return Array.from(values || [])
  const bytes = Uint8Array.from(atob(values.bdata), (c) => c.charCodeAt(0))
  return Array.from(new Float32Array(bytes.buffer))
}

// One row for each x, one column for each trace; what lies faint behind a line has its own name.
function table(figure) {
  const [grid] = figure.data
  if (grid && grid.type === "heatmap") {
    const { xaxis, yaxis } = figure.layout
    return [["truth \\ prediction", ...grid.x.map((x) => label(xaxis, x))], ...grid.customdata.map((row, y) => [label(yaxis, y), ...row])]
  }
  const flat = figure.data[0] && figure.data[0].orientation === "h"
  const shown = figure.data.filter((trace) => trace.showlegend !== false || trace.meta)
  const rows = new Map()
  shown.forEach((trace, column) => {
    const [x, y] = [numbers(flat ? trace.y : trace.x), numbers(flat ? trace.x : trace.y)]
    x.forEach((at, i) => {
      if (!rows.has(at)) rows.set(at, new Array(shown.length).fill(""))
      if (Number.isFinite(y[i])) rows.get(at)[column] = Number(y[i].toPrecision(6))
    })
  })
  const first = flat ? "class" : (figure.layout.xaxis.title || {}).text || "x"
  return [[first, ...shown.map((trace) => trace.meta || trace.name)], ...[...rows].map(([at, row]) => [at, ...row])]
}

function label(axis, at) {
  const place = (axis.tickvals || []).indexOf(at)
  return place < 0 ? at : axis.ticktext[place]
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
  tools.replaceChildren()  // mounted again in the same place, it has them already
  const add = (label, title, action) => {
    const button = document.createElement("button")
    button.type = "button"
    button.textContent = label
    button.title = title
    button.setAttribute("aria-label", title)
    button.onclick = () => action(button)
    tools.appendChild(button)
  }
  add("reset", "Show everything again: undo zoom and pan", () => {
    const { xaxis, yaxis } = themed(chart.figure, chart.view, chart.width, chart.style)[1]
    window.Plotly.relayout(chart.plot, { "xaxis.range": [...xaxis.range], ...(yaxis.range ? { "yaxis.range": [...yaxis.range] } : {}) })
  })
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
  const { clientWidth: width, clientHeight: height } = chart.plot
  chart.stale = !width || !height || !chart.seen || document.hidden
  if (chart.stale) return
  const ink = chart.style.getPropertyValue("--st-text-color") + chart.style.getPropertyValue("--st-background-color")
  if (chart.drawn === chart.content && chart.ink === ink && chart.width === width && chart.height === height && chart.shownView === chart.view) return
  if (chart.parsed !== chart.content) { chart.figure = revive(chart.content); chart.parsed = chart.content }
  const [data, layout] = themed(chart.figure, chart.view, width, chart.style)
  Object.assign(chart, { drawn: chart.content, ink, width, height, shownView: chart.view })
  plotly.react(chart.plot, data, { ...layout, width, height }, MODEBAR)
  chart.wait.textContent = data.length ? "" : chart.waitText
  if (chart.table.isConnected) fillTable(chart)
  if (!chart.heard) {
    chart.heard = true
    chart.plot.on("plotly_click", ({ points: [point] }) => { if (chart.clicks) chart.send("click", [point.x, point.y]) })
  }
}

function mount(box, name) {
  const chart = {
    plot: box.querySelector(".plot"), wait: box.querySelector(".wait"), table: document.createElement("div"),
    style: getComputedStyle(box), name, seen: false,
  }
  chart.table.className = "table"
  chart.table.tabIndex = 0
  chart.table.setAttribute("role", "region")
  chart.table.setAttribute("aria-label", "The numbers of this chart")
  addTools(chart, box)
  const again = () => { if (window.Plotly && chart.content) draw(chart, window.Plotly) }
  const changed = () => chart.plot.clientWidth !== chart.width || chart.plot.clientHeight !== chart.height  // also by a style that comes late
  chart.resized = new ResizeObserver(() => { if (changed()) again() })
  chart.resized.observe(chart.plot)
  chart.watched = new IntersectionObserver((entries) => {
    chart.seen = entries[entries.length - 1].isIntersecting
    if (chart.stale) again()
  }, { root: box.closest("[data-testid=stMain]"), rootMargin: "200px" })  // a margin counts only for the one that scrolls
  chart.watched.observe(box)
  chart.shown = () => { if (chart.stale) again() }
  document.addEventListener("visibilitychange", chart.shown)
  chart.told = () => {
    const content = chart.fed && fed(name, chart.view)
    if (content && content !== chart.content) { chart.content = content; again() }
  }
  document.addEventListener("ssl-feed", chart.told)
  return chart
}

function unmount(chart) {
  chart.resized.disconnect()
  chart.watched.disconnect()
  document.removeEventListener("visibilitychange", chart.shown)
  document.removeEventListener("ssl-feed", chart.told)
  if (window.Plotly) window.Plotly.purge(chart.plot)
}

export function update({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".ssl-chart")
  const [head, text] = read(data)
  if (!text && !head.fed) {  // nothing to draw yet: only load what draws
    box.hidden = true
    loadPlotly(head.src).catch(() => {})
    return
  }
  const chart = charts.get(parentElement) || mount(box, head.name)
  charts.set(parentElement, chart)
  const content = head.fed ? fed(head.name, head.view) : text
  Object.assign(chart, { content, fed: head.fed, view: head.view, waitText: head.wait, clicks: head.clicks, send: setTriggerValue })
  chart.plot.classList.toggle("clickable", head.clicks)
  box.style.height = head.height + "px"
  box.setAttribute("aria-label", head.alt)
  if (!content && !chart.drawn) chart.wait.textContent = head.wait
  loadPlotly(head.src).then((plotly) => { if (chart.content) draw(chart, plotly) }).catch((problem) => { chart.wait.textContent = problem.message })
}

export function remove(parentElement) {
  const chart = charts.get(parentElement)
  charts.delete(parentElement)
  if (chart) unmount(chart)
}
