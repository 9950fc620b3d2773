// A native slider over the keyframes. What the hand does is told to Python; what Python says is shown unless the hand holds it.
const PAUSE = 80  // milliseconds of rest after which a move is told

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".ssl-timeline")
  const slider = box.querySelector("input"), label = box.querySelector("output"), ticks = box.querySelector(".ticks")
  const name = (i) => `step ${data.steps[i].toLocaleString("en")}`
  const place = (i) => (data.steps.length > 1 ? (100 * i) / (data.steps.length - 1) : 100)
  const say = () => {
    label.textContent = name(slider.value)
    label.style.setProperty("--at", place(slider.value) / 100)
    slider.style.setProperty("--fill", place(slider.value) + "%")
    slider.setAttribute("aria-valuetext", name(slider.value))
  }
  slider.max = Math.max(data.steps.length - 1, 1)
  slider.disabled = data.steps.length < 2
  slider.setAttribute("aria-label", data.label)
  if (!box.held) slider.value = data.steps.length > 1 ? data.steps.indexOf(data.at) : 1
  if (data.steps.length > 1 || box.held) say()
  else label.textContent = `step ${data.at}`
  const marks = JSON.stringify(data.marks)
  if (box.marks !== marks + data.steps.length) {
    box.marks = marks + data.steps.length
    ticks.replaceChildren(...data.marks.map(([i, about, kind]) => {
      const tick = document.createElement("span")
      tick.className = kind
      tick.style.setProperty("--at", place(i) / 100)
      tick.title = about
      return tick
    }))
  }
  slider.oninput = () => {
    box.held = true
    say()
    clearTimeout(box.timer)
    box.timer = setTimeout(() => {
      box.held = false
      setTriggerValue("moved", data.steps[slider.value])
    }, PAUSE)
  }
  return () => clearTimeout(box.timer)
}
