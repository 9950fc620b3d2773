// The grid of a sweep: method by label count, a mark for every seed. Called again on every change; marks are kept by cell,
// so that focus stays, and only what differs is written.
import { SHAPES, draw, make, picture } from "./states.js"

const grids = new WeakMap()
const MISSING = "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9z"

class Grid {
  constructor(box) {
    box.replaceChildren()  // mounted again in the same place
    this.scroll = make(box, "div", "scroll")
    this.marks = new Map()
  }

  build(data) {  // only when methods, counts or seeds have changed
    this.marks.clear()
    this.scroll.replaceChildren()
    const table = (this.table = make(this.scroll, "table"))
    const head = make(make(table, "thead"), "tr")
    make(head, "td", "", data.corner)
    for (const count of data.counts) make(head, "th", "", count).scope = "col"
    const body = make(table, "tbody")
    data.rows.forEach(([name, color, cells]) => {
      const line = make(body, "tr")
      const label = make(line, "th")
      label.scope = "row"
      make(label, "i").style.background = color
      make(label, "span", "", name)
      cells.forEach(([, seeds]) => {
        const cell = make(line, "td")
        const words = make(cell, "b")
        const row = make(cell, "div", "marks")
        const buttons = seeds.map(() => {
          const button = make(row, "button")
          button.type = "button"
          const drawn = picture(button, 12, 12)
          const track = make(button, "s")
          make(track, "u")
          button.onclick = () => { if (button.run) this.send("open", button.run) }
          return { button, path: draw(drawn, "path", {}), track }
        })
        this.marks.set(cell, { words, buttons })
      })
    })
  }

  update(data, send) {
    this.send = send
    const shape = JSON.stringify([data.corner, data.counts, data.rows.map(([name, color, cells]) => [name, color, cells.map(([, seeds]) => seeds.length)])])
    if (shape !== this.shape) {
      this.build(data)
      this.shape = shape
    }
    this.table.setAttribute("aria-label", data.alt)
    const flat = data.rows.flatMap(([, , cells]) => cells)
    ;[...this.marks.values()].forEach(({ words, buttons }, i) => {
      const [told, seeds] = flat[i]
      if (words.textContent !== told) words.textContent = told
      seeds.forEach(([run, state, share, label], k) => {
        const { button, path, track } = buttons[k]
        button.run = run
        const now = JSON.stringify([run, state, share, label])
        if (button.now === now) return
        button.now = now
        button.disabled = !run
        button.className = state
        button.title = label
        button.setAttribute("aria-label", label)
        const color = data.colors[state]
        button.style.setProperty("--ink", color ? `var(--st-${color}-text-color)` : "var(--st-text-color)")
        button.style.setProperty("--paper", color ? `var(--st-${color}-background-color)` : "transparent")
        path.setAttribute("d", SHAPES[state] || MISSING)
        path.setAttribute("fill", SHAPES[state] ? "currentColor" : "none")
        path.setAttribute("stroke", SHAPES[state] ? "none" : "currentColor")
        track.hidden = share === null
        if (share !== null) track.firstChild.style.width = `${100 * share}%`
      })
    })
  }
}

export function update({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".ssl-grid")
  const grid = grids.get(box) || new Grid(box)
  grids.set(box, grid)
  grid.update(JSON.parse(new TextDecoder().decode(data)), setTriggerValue)
}

export function remove(parentElement) {
  grids.delete(parentElement.querySelector(".ssl-grid"))
}
