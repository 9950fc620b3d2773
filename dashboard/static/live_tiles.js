// Tiles are built once and then only given new texts and paths, whenever the page's feed tells of them.
const heard = new WeakMap()
const NS = "http://www.w3.org/2000/svg"
const HEIGHT = 40, WIDTH = 100, ABOVE = 3

function make(parent, tag, className, space) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag)
  node.setAttribute("class", className)
  return parent.appendChild(node)
}

function build(grid) {
  const tile = make(grid, "div", "tile")
  const label = make(tile, "span", "label")
  const help = make(tile, "span", "help")
  help.textContent = "?"
  help.tabIndex = 0
  help.setAttribute("role", "note")
  const tip = make(tile, "div", "tip")
  const value = make(tile, "div", "value")
  const svg = make(tile, "svg", "", NS)
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`)
  svg.setAttribute("preserveAspectRatio", "none")
  svg.setAttribute("aria-hidden", "true")
  return { tile, label, help, tip, value, area: make(svg, "path", "area", NS), line: make(svg, "path", "line", NS) }
}

function path(course, top) {
  if (course.length < 2) return ""
  const most = top || Math.max(...course) || 1
  const point = (value, i) => {
    const share = Math.min(Math.max(value / most, 0), 1)
    return `${(WIDTH * i / (course.length - 1)).toFixed(2)} ${(HEIGHT - 1 - share * (HEIGHT - 1 - ABOVE)).toFixed(2)}`
  }
  return "M" + course.map(point).join("L")
}

function draw(grid, { name, view }) {
  const feed = window.sslFeed
  const parts = feed && feed.view === view && feed.charts.get(name)
  if (!parts || grid.parts === parts) return
  grid.parts = parts
  const built = (grid.built ||= [])
  while (built.length < parts.length) built.push(build(grid))
  while (built.length > parts.length) built.pop().tile.remove()
  parts.forEach((part, i) => {
    if (built[i].drawn === part) return
    built[i].drawn = part
    const tile = JSON.parse(part)
    const line = path(tile.course, tile.top)
    const texts = { label: tile.label, value: tile.value, tip: tile.help }
    for (const [name, text] of Object.entries(texts)) {
      if (built[i][name].textContent !== text) built[i][name].textContent = text
    }
    built[i].value.classList.toggle("words", tile.words)
    built[i].help.setAttribute("aria-label", tile.help)
    built[i].line.setAttribute("d", line)
    built[i].area.setAttribute("d", line && `${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`)
  })
}

export function update({ data, parentElement }) {
  let state = heard.get(parentElement)
  if (!state) {
    const grid = parentElement.querySelector(".ssl-tiles")
    state = { listen: () => draw(grid, state.data) }
    document.addEventListener("ssl-feed", state.listen)
    heard.set(parentElement, state)
  }
  state.data = data
  state.listen()
}

export function remove(parentElement) {
  const state = heard.get(parentElement)
  heard.delete(parentElement)
  if (state) document.removeEventListener("ssl-feed", state.listen)
}
