// Buttons are built once; a pick goes to Python, which says what is chosen. One stop for Tab, arrows from picture to picture.
function rest(strip, at) {
  strip.at = at
  strip.built.forEach((button, i) => { button.tabIndex = i === at ? 0 : -1 })
}

function typed(event, strip) {
  const across = getComputedStyle(strip).gridTemplateColumns.split(" ").length
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across, Home: -strip.at, End: strip.built.length - 1 - strip.at }[event.key]
  if (by === undefined) return
  event.preventDefault()
  const next = strip.built[strip.at + by]
  if (next) next.focus()
}

export default function ({ data, parentElement, setTriggerValue }) {
  const strip = parentElement.querySelector(".ssl-strip")
  strip.setAttribute("aria-label", data.alt)
  const built = (strip.built ||= [])
  while (built.length < data.cells.length) {
    const button = document.createElement("button")
    button.type = "button"
    button.setAttribute("role", "option")
    for (const name of ["picture", "sign"]) button.appendChild(document.createElement("span")).className = name
    const at = built.push(strip.appendChild(button)) - 1
    button.onfocus = () => rest(strip, at)
  }
  while (built.length > data.cells.length) built.pop().remove()
  strip.onkeydown = (event) => typed(event, strip)
  if (strip.chosen !== data.chosen || !(strip.at < built.length)) strip.at = Math.max(data.chosen, 0)
  strip.chosen = data.chosen
  rest(strip, strip.at)
  strip.setAttribute("aria-multiselectable", String(data.chosen < 0))
  const place = (k, n) => (n > 1 ? (100 * k) / (n - 1) : 0) + "%"
  data.cells.forEach((cell, i) => {
    const button = built[i], [picture, sign] = button.children
    if (strip.sprite !== data.sprite || !picture.style.backgroundImage) picture.style.backgroundImage = `url(${data.sprite})`
    picture.style.backgroundSize = `${100 * data.columns}% ${100 * data.rows}%`
    picture.style.backgroundPosition = `${place(i % data.columns, data.columns)} ${place(Math.floor(i / data.columns), data.rows)}`
    const classes = [cell.kept === null ? "" : cell.kept ? "kept" : "dropped", cell.right === null ? "" : cell.right ? "right" : "wrong"]
    button.className = classes.join(" ").trim()
    sign.textContent = cell.right === null ? "" : cell.right ? "\u2713" : "\u2717"
    sign.hidden = cell.right === null
    button.title = cell.about
    button.setAttribute("aria-label", cell.about)
    button.setAttribute("aria-selected", String(data.chosen < 0 ? cell.kept === true : i === data.chosen))
    button.onclick = () => setTriggerValue("picked", i)
  })
  strip.sprite = data.sprite
}
