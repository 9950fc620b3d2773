// Rows are built once and then only given new widths, colours and texts.
function make(parent, className) {
  const node = document.createElement("div")
  node.className = className
  return parent.appendChild(node)
}

function build(grid) {
  const row = make(grid, "row")
  row.setAttribute("role", "listitem")
  const name = make(row, "name"), track = make(row, "track"), value = make(row, "value")
  return { row, name, value, bar: make(track, "bar"), ghost: make(track, "ghost"), tick: make(track, "tick") }
}

const percent = (share) => 100 * Math.min(Math.max(share, 0), 1) + "%"

export default function ({ data, parentElement }) {
  const grid = parentElement.querySelector(".ssl-bars")
  grid.setAttribute("aria-label", data.alt)
  const built = (grid.built ||= [])
  while (built.length < data.rows.length) built.push(build(grid))
  while (built.length > data.rows.length) built.pop().row.remove()
  data.rows.forEach((row, i) => {
    const { name, value, bar, ghost, tick } = built[i]
    const label = row.name + (row.note ? " " + row.note : "")
    if (name.textContent !== label) name.textContent = name.title = label
    if (value.textContent !== row.text) value.textContent = row.text
    built[i].row.className = row.strong ? "row strong" : "row"
    bar.style.left = percent(Math.min(row.start, row.end))
    bar.style.width = percent(Math.abs(row.end - row.start))
    bar.style.background = row.color
    ghost.hidden = !row.ghost || row.ghost < .002
    ghost.style.width = percent(row.ghost || 0)
    tick.hidden = row.tick === null
    tick.style.left = percent(row.tick || 0)
  })
}
