// A pad for one curve: drag across it, or move its points by the arrow keys. What is drawn is told when the hand lets go.
const SPACE = "http://www.w3.org/2000/svg"
const LEFT = 60, TOP = 14, PAD = 18
const REST = 120 // milliseconds without a key after which the curve is told

function make(name, attributes, parent) {
  const node = document.createElementNS(SPACE, name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  return parent.appendChild(node)
}

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".ssl-sketch")
  const narrow = box.clientWidth > 0 && box.clientWidth < 480
  const W = narrow ? 380 : 760, H = narrow ? 280 : 330
  const right = W - PAD, bottom = H - 44, last = data.points.length - 1
  const px = (i) => LEFT + ((right - LEFT) * i) / last
  const py = (value) => bottom - (bottom - TOP) * value
  const percent = (value) => Math.round(100 * value) + " %"
  const ended = data.real.length > 0
  if (!box.held) box.points = [...data.points]
  box.classList.toggle("ended", ended)

  if (!box.svg || box.size !== W) {
    box.replaceChildren()
    box.size = W
    box.svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "group" }, box)
    for (const value of [0, 0.25, 0.5, 0.75, 1]) {
      make("line", { class: "grid", x1: LEFT, x2: right, y1: py(value), y2: py(value) }, box.svg)
      make("text", { x: LEFT - 14, y: py(value) + 5, "text-anchor": "end" }, box.svg).textContent = percent(value)
    }
    make("text", { x: LEFT, y: H - 18 }, box.svg).textContent = "start"
    make("text", { x: right, y: H - 18, "text-anchor": "end" }, box.svg).textContent = "end of the run"
    box.real = make("polyline", { class: "real" }, box.svg)
    box.mine = make("polyline", { class: "mine" }, box.svg)
    box.realLabel = make("text", { class: "label" }, box.svg)
    box.mineLabel = make("text", { class: "label" }, box.svg)
    box.dots = data.points.map((_, i) => make("circle", { r: 8, role: "slider", "aria-valuemin": 0, "aria-valuemax": 100, tabindex: i ? -1 : 0 }, box.svg))
  }
  box.svg.setAttribute("aria-label", data.alt)

  const show = () => {
    box.mine.setAttribute("points", box.points.map((value, i) => `${px(i)},${py(value)}`).join(" "))
    box.dots.forEach((dot, i) => {
      dot.setAttribute("cx", px(i))
      dot.setAttribute("cy", py(box.points[i]))
      dot.setAttribute("aria-label", `Expected mask rate at ${Math.round((100 * i) / last)} % of the run`)
      dot.setAttribute("aria-valuenow", Math.round(100 * box.points[i]))
      dot.setAttribute("aria-valuetext", percent(box.points[i]))
    })
    box.real.setAttribute("points", data.real.map(([x, y]) => `${LEFT + (right - LEFT) * x},${py(y)}`).join(" "))
    box.realLabel.textContent = ended ? data.name : ""
    box.mineLabel.textContent = ended ? "yours" : ""
    if (!ended) return
    const middle = Math.floor(data.real.length / 2), at = Math.round(last / 2)
    const [x, y] = data.real[middle], above = y >= box.points[at]
    const place = (label, value, up) => {
      label.setAttribute("x", LEFT + (right - LEFT) * (label === box.realLabel ? x : 0.5))
      label.setAttribute("y", Math.min(Math.max(py(value) + (up ? -12 : 24), TOP + 12), bottom - 6))
      label.setAttribute("text-anchor", "middle")
    }
    place(box.realLabel, y, above)
    place(box.mineLabel, box.points[at], !above)
  }
  const tell = () => {
    clearTimeout(box.timer)
    box.held = false
    setTriggerValue("drawn", [...box.points])
  }
  const put = (event) => {
    const area = box.svg.getBoundingClientRect()
    const x = ((event.clientX - area.left) * W) / area.width, y = ((event.clientY - area.top) * H) / area.height
    const i = Math.min(Math.max(Math.round(((x - LEFT) * last) / (right - LEFT)), 0), last)
    const value = Math.round(100 * Math.min(Math.max((bottom - y) / (bottom - TOP), 0), 1)) / 100
    const from = box.before ?? i // a quick hand leaps over points: they lie on the line between
    const start = box.points[from]
    for (let k = from; k !== i; k += Math.sign(i - from)) {
      if (k !== from) box.points[k] = start + ((value - start) * (k - from)) / (i - from)
    }
    box.points[i] = value
    box.before = i
    show()
  }
  box.svg.onpointerdown = (event) => {
    if (ended) return
    box.held = true
    box.before = null
    box.svg.setPointerCapture(event.pointerId)
    put(event)
    event.preventDefault()
  }
  box.svg.onpointermove = (event) => { if (box.held && event.buttons) put(event) }
  box.svg.onpointerup = box.svg.onpointercancel = () => { if (box.held) tell() }
  box.svg.onkeydown = (event) => {
    const i = box.dots.indexOf(event.target)
    if (i < 0 || ended) return
    const by = { ArrowUp: 0.05, ArrowDown: -0.05, PageUp: 0.2, PageDown: -0.2, Home: -1, End: 1 }[event.key]
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1 }[event.key]
    if (by === undefined && to === undefined) return
    event.preventDefault()
    if (to !== undefined) {
      const next = Math.min(Math.max(to, 0), last)
      box.dots.forEach((dot, k) => dot.setAttribute("tabindex", k === next ? 0 : -1))
      box.dots[next].focus()
      return
    }
    box.points[i] = Math.round(100 * Math.min(Math.max(box.points[i] + by, 0), 1)) / 100
    box.held = true
    show()
    clearTimeout(box.timer)
    box.timer = setTimeout(tell, REST)
  }
  show()
  return () => clearTimeout(box.timer)
}
