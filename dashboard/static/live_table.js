// The table of runs. Called again on every change: rows are kept by run, only cells that differ are written, and
// selection, focus and scroll position stay. Everything a person typed is set as text, never as HTML.
import { SHAPES, draw, make, picture } from "./states.js"

const tables = new WeakMap()
const latest = new Map()  // session -> its newest table: Streamlit may build it anew, then the next one takes over what the reader did
const DASHES = { solid: "", dash: "6 3", dot: "2 2.5", dashdot: "6 2.5 2 2.5", longdash: "9 3" }

function when(seconds) {
  const date = new Date(seconds * 1000)
  const today = date.toDateString() === new Date().toDateString()
  const clock = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
  const day = date.toLocaleDateString([], { day: "numeric", month: "short", year: date.getFullYear() === new Date().getFullYear() ? undefined : "numeric" })
  return today ? `today, ${clock}` : `${day}, ${clock}`
}

// One cell by its kind. Only called when its value has changed.
const FILL = {
  name(cell, [name, id], table, run) {
    cell.replaceChildren()
    const button = make(cell, "button", "open", name)
    button.type = "button"
    button.tabIndex = -1
    button.title = `Open ${name} on the Train page`
    button.onclick = () => table.tell("open", run)
    if (id) make(cell, "small", "", id)
  },
  state(cell, state, table) {
    cell.replaceChildren()
    const pill = make(cell, "span", "pill")
    pill.style.setProperty("--ink", `var(--st-${table.data.colors[state] || "gray"}-text-color)`)
    pill.style.setProperty("--paper", `var(--st-${table.data.colors[state] || "gray"}-background-color)`)
    draw(picture(pill, 12, 12), "path", { d: SHAPES[state] || SHAPES.stopped, fill: "currentColor" })
    make(pill, "span", "", state)
  },
  progress(cell, [share, words]) {
    if (!cell.bar) {
      cell.bar = make(make(cell, "div", "bar"), "i")
      cell.words = make(cell, "span")
    }
    cell.bar.style.width = `${100 * share}%`
    cell.words.textContent = words
  },
  time(cell, seconds) {
    cell.textContent = when(seconds)
    cell.title = new Date(seconds * 1000).toLocaleString()
  },
  number(cell, words) { cell.textContent = words },
  text(cell, words) {
    cell.textContent = words
    cell.title = words
  },
}

class Table {
  constructor(box) {
    box.replaceChildren()  // mounted again in the same place, it has a table already
    this.box = box
    this.rows = new Map()  // run -> {line, box, mark, cells, seen}
    this.selected = new Set()
    this.count = 0  // of our own changes of the selection
    const bar = make(box, "div", "sorter")
    const label = make(bar, "label", "", "Sort by ")
    this.sorter = make(label, "select")
    this.sorter.onchange = () => this.tell("sort", this.sorter.value)
    this.flip = make(bar, "button", "", "\u2191\u2193")
    this.flip.type = "button"
    this.flip.title = "Reverse the order"
    this.flip.setAttribute("aria-label", "Reverse the sort order")
    this.flip.onclick = () => this.tell("sort", this.other(this.data.sort))
    this.scroll = make(box, "div", "scroll")
    const table = (this.table = make(this.scroll, "table"))
    this.head = make(make(table, "thead"), "tr")
    this.body = make(table, "tbody")
    this.nothing = make(box, "div", "nothing")
    this.more = make(this.scroll, "button", "more")
    this.more.type = "button"
    this.more.onclick = () => this.tell("more", true)
    this.top = this.left = 0  // noted here: a node that was taken out of the page has forgotten it
    this.scroll.addEventListener("scroll", () => { this.top = this.scroll.scrollTop, this.left = this.scroll.scrollLeft }, { passive: true })
    this.body.addEventListener("click", (event) => this.clicked(event))
    this.body.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault())  // it would select text instead
    this.body.addEventListener("keydown", (event) => this.typed(event))
  }

  other(sort) { return sort.startsWith("-") ? sort.slice(1) : "-" + sort }

  tell(name, value) { this.send.setTriggerValue(name, value) }

  // -- selection: ours until the page has heard of it ------------------------------------------------------------------

  pick(runs, on) {
    for (const run of runs) on ? this.selected.add(run) : this.selected.delete(run)
    this.count += 1
    this.showSelection()
    this.send.setStateValue("picked", { ids: [...this.selected], n: this.count })
  }

  showSelection() {
    for (const [run, row] of this.rows) {
      const on = this.selected.has(run)
      if (row.box.checked !== on) row.box.checked = on
      row.line.classList.toggle("on", on)
      row.line.setAttribute("aria-selected", on)
    }
    const all = this.fitting()
    const shown = all.filter((run) => this.selected.has(run)).length
    this.all.checked = shown > 0 && shown === all.length
    this.all.indeterminate = shown > 0 && shown < all.length
  }

  fitting() { return [...this.rows.keys(), ...this.data.rest] }  // the drawn ones, and those that aren't drawn yet

  clicked(event) {
    const line = event.target.closest("tr")
    if (!line || event.target.closest("button") || String(window.getSelection())) return
    const on = event.target.type === "checkbox" ? event.target.checked : !this.selected.has(line.run)
    const lines = [...this.body.children]
    let runs = [line.run]
    if (event.shiftKey && this.last && this.rows.has(this.last)) {
      const [from, to] = [lines.indexOf(this.rows.get(this.last).line), lines.indexOf(line)].sort((a, b) => a - b)
      runs = lines.slice(from, to + 1).map((other) => other.run)
    }
    this.last = line.run
    this.rest(line)
    this.pick(runs, on)
  }

  // -- keys: one stop for Tab, arrows from row to row, Space selects, Enter opens ----------------------------------------

  rest(line) {
    for (const row of this.rows.values()) row.box.tabIndex = row.line === line ? 0 : -1
  }

  typed(event) {
    const line = event.target.closest("tr")
    if (event.key === "Enter" && event.target.type === "checkbox") {
      this.tell("open", line.run)
      return event.preventDefault()
    }
    const to = { ArrowDown: line.nextSibling, ArrowUp: line.previousSibling, Home: this.body.firstChild, End: this.body.lastChild }[event.key]
    if (to === undefined) return
    event.preventDefault()
    if (!to) return
    this.rest(to)
    this.rows.get(to.run).box.focus()
  }

  // -- drawing ---------------------------------------------------------------------------------------------------------

  drawHead() {
    const { columns, sort } = this.data
    const now = JSON.stringify([columns, sort])
    if (now === this.headNow) return
    const focused = this.head.contains(document.activeElement) && document.activeElement.closest("th").dataset.name
    this.headNow = now
    this.head.replaceChildren()
    const first = make(this.head, "th", "c-pick")
    this.all = make(first, "input")
    this.all.type = "checkbox"
    this.all.title = "Select all that fit the filters"
    this.all.setAttribute("aria-label", this.all.title)
    this.all.onclick = () => this.pick(this.fitting(), this.all.checked)
    this.sorter.replaceChildren()
    for (const [name, label, kind, start, help] of columns) {
      const by = sort.replace("-", "") === name
      const cell = make(this.head, "th", `k-${kind}`)
      cell.dataset.name = name
      cell.setAttribute("aria-sort", by ? (sort.startsWith("-") ? "descending" : "ascending") : "none")
      const button = make(cell, "button", "", label)
      button.type = "button"
      button.title = help ? `${help} Click to sort.` : `Sort by ${label.toLowerCase()}`
      make(button, "span", "arrow", by ? (sort.startsWith("-") ? "\u2193" : "\u2191") : "").setAttribute("aria-hidden", "true")
      button.onclick = () => {
        this.scroll.scrollTop = 0
        this.tell("sort", by ? this.other(sort) : start)
      }
      if (focused === name) button.focus({ preventScroll: true })
      const option = make(this.sorter, "option", "", label)
      option.value = by ? sort : start
      option.selected = by
    }
  }

  add(run) {
    const line = document.createElement("tr")
    line.run = run
    const pick = make(line, "td", "c-pick")
    const box = make(pick, "input")
    box.type = "checkbox"
    box.tabIndex = -1
    const mark = draw(picture(pick, 26, 6), "path", { d: "M0 3H26", "stroke-width": 3, fill: "none" })
    const row = { line, box, mark, cells: [], seen: [] }
    this.rows.set(run, row)
    return row
  }

  drawRow(row, values) {
    const { columns, marks } = this.data
    const kinds = columns.map((column) => column[0]).join()
    if (row.kinds !== kinds) {
      row.kinds = kinds
      row.seen = []
      row.cells.forEach((cell) => cell.remove())
      row.cells = columns.map(([name, label, kind]) => {
        const cell = make(row.line, "td", `c-${name} k-${kind}`)
        cell.dataset.label = label
        return cell
      })
    }
    columns.forEach(([name, , kind], i) => {
      const now = JSON.stringify(values[i + 1])
      if (row.seen[i] === now) return
      row.seen[i] = now
      FILL[kind](row.cells[i], values[i + 1], this, row.line.run)
      if (name === "name") row.box.setAttribute("aria-label", `Select ${values[i + 1][0]}`)
    })
    const [color, dash] = marks[row.line.run] || ["none", "solid"]
    row.mark.setAttribute("stroke", color)
    row.mark.setAttribute("stroke-dasharray", DASHES[dash] || "")
  }

  show(run) {
    if (!this.rows.has(run)) return
    const line = this.rows.get(run).line.getBoundingClientRect()
    const frame = this.scroll.getBoundingClientRect()
    const head = this.head.getBoundingClientRect().height
    if (line.top < frame.top + head || line.bottom > frame.bottom) this.scroll.scrollTop += line.top - frame.top - frame.height / 2
    this.sought = undefined
  }

  update(data, send) {
    const before = this.data ? null : latest.get(data.session)
    if (before) Object.assign(this, { session: data.session, selected: before.selected, count: before.count, last: before.last })
    latest.set(data.session, this)
    this.data = data
    this.send = send
    this.table.setAttribute("aria-label", data.alt)
    if (data.session !== this.session || data.heard >= this.count) {
      this.session = data.session
      this.count = data.heard
      this.sought = data.selected.find((run) => !this.selected.has(run)) || this.sought  // chosen for the reader: imported, in a link
      this.selected = new Set(data.selected)
    }
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null
    this.drawHead()
    const wanted = new Set(data.rows.map((row) => row[0]))
    for (const [run, row] of this.rows) {
      if (wanted.has(run)) continue
      row.line.remove()
      this.rows.delete(run)
    }
    let at = this.body.firstChild
    for (const values of data.rows) {
      const row = this.rows.get(values[0]) || this.add(values[0])
      this.drawRow(row, values)
      if (at && row.line === at.nextSibling) {  // the one before it has gone elsewhere: move that, not all that follow
        this.body.appendChild(at)
        at = row.line
      }
      if (row.line === at) at = at.nextSibling
      else this.body.insertBefore(row.line, at)
    }
    this.showSelection()
    if (this.body.firstChild && !this.body.querySelector("input[tabindex='0']")) this.rest(this.body.firstChild)
    if (focused && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true })
    this.scroll.hidden = !data.rows.length
    this.nothing.hidden = data.rows.length > 0
    this.nothing.textContent = data.nothing
    this.more.hidden = !data.more
    this.more.textContent = data.more
    if (before) this.scroll.scrollTo(before.left, before.top)
    this.show(this.sought)
  }
}

export function update({ data, parentElement, setStateValue, setTriggerValue }) {
  const box = parentElement.querySelector(".ssl-runs")
  const table = tables.get(box) || new Table(box)
  tables.set(box, table)
  table.update(JSON.parse(new TextDecoder().decode(data)), { setStateValue, setTriggerValue })
}

export function remove(parentElement) {
  tables.delete(parentElement.querySelector(".ssl-runs"))
}
