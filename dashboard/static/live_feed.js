// What the server tells of all live charts in one message. Charts and tables read `window.sslFeed` when "ssl-feed" is heard.
const feed = (window.sslFeed ||= { name: "", view: "", frame: null, charts: new Map() })
const heard = new WeakMap()
const AGAIN = 2000, LOST = 10000  // ms between two requests for pictures, and until one that had no effect is made again
const MARGIN = 300  // pixels outside of the window that still count as in sight

function take({ data, setTriggerValue }) {
  const said = JSON.parse(new TextDecoder().decode(data))
  if (said.name === feed.name) return  // only drawn again
  if (said.since && said.since !== feed.name) { setTriggerValue("missed", said.name); return }
  const charts = said.since ? feed.charts : new Map()
  for (const [name, parts] of Object.entries(said.charts)) {
    const old = charts.get(name)
    charts.set(name, parts.map(([keep, rest], i) => (keep ? old[i].slice(0, keep) + rest : rest)))
  }
  Object.assign(feed, { name: said.name, view: said.view, frame: said.frame, charts })
  document.dispatchEvent(new Event("ssl-feed"))
}

function fill(box, { name, view, wait }) {
  const parts = feed.view === view && feed.charts.get(name)
  if (!parts || box.drawn === parts[0]) return
  box.drawn = parts[0]
  const [table, note] = box.children
  const rows = JSON.parse(parts[0])
  note.textContent = rows.length > 1 ? "" : wait
  table.replaceChildren()
  for (const row of rows.length > 1 ? rows : []) {
    const line = table.insertRow()
    row.forEach((words, i) => {
      const cell = line.appendChild(document.createElement(row === rows[0] || !i ? "th" : "td"))
      cell.textContent = words
    })
  }
}

function inSight(box) {
  const place = box.closest("[data-testid=stVerticalBlock]").getBoundingClientRect()
  return !document.hidden && place.top < window.innerHeight + MARGIN && place.bottom > -MARGIN
}

function look(box, state) {
  if (feed.view !== state.data.view || feed.frame === null || feed.frame === state.data.step || !inSight(box)) return
  const now = performance.now()
  if (now - state.asked < (state.wanted === feed.frame ? LOST : AGAIN)) return
  Object.assign(state, { asked: now, wanted: feed.frame })
  state.tell("frame", feed.frame)
}

export function update({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector("[data-role]")
  if (box.dataset.role === "feed") { take({ data, setTriggerValue }); return }
  let state = heard.get(parentElement)
  if (!state) {
    state = { asked: -LOST, wanted: null }
    state.listen = box.dataset.role === "table" ? () => fill(box, state.data) : () => look(box, state)
    document.addEventListener("ssl-feed", state.listen)
    heard.set(parentElement, state)
  }
  if (state.data && state.data.view !== data.view) box.drawn = undefined
  Object.assign(state, { data, tell: setTriggerValue })
  if (data.height) box.style.height = data.height + "px"
  state.listen()
}

export function remove(parentElement) {
  const state = heard.get(parentElement)
  heard.delete(parentElement)
  if (state) document.removeEventListener("ssl-feed", state.listen)
}
