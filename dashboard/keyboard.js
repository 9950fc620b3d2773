// What Streamlit leaves out for people who use the keyboard alone, on every page.
// A popover stands at the end of the page: Tab leads from its button into it, and out of it back to the button.
// A button that is disabled for a moment once it is pressed, or gives way to another (Pause, Resume), loses the focus: the next
// Tab, Enter or Space goes on from what stands in its place.
const STOPS = "button, input, select, textarea, a[href], summary, [tabindex]"
const PLACE = "[data-testid=stElementContainer]"
let place = null  // where the focus was: [the block, the number of its child]

function tab(event) {
  const opener = document.querySelector("[data-testid=stPopoverButton][aria-expanded=true]")
  const popover = document.querySelector("[data-testid=stPopoverBody]")
  if (!opener || !popover) return
  const stops = [...popover.querySelectorAll(STOPS)].filter((node) => node.tabIndex >= 0 && !node.disabled && node.checkVisibility())
  const at = document.activeElement
  const ends = event.shiftKey ? [stops[0], popover] : [stops[stops.length - 1]]
  const to = ends.includes(at) ? opener : (at === opener && !event.shiftKey) || at === popover ? stops[0] : null
  if (!to) return
  event.preventDefault()
  to.focus({ focusVisible: true })
}

function goOn(event) {
  const [block, number] = place
  const button = block.isConnected && block.children[number] && block.children[number].querySelector("button:not(:disabled)")
  if (!button) return
  button.focus({ focusVisible: true })
  if (event.key === "Tab") return
  event.preventDefault()
  button.click()
}

function typed(event) {
  const lost = document.activeElement === document.body
  if (lost && place && ["Tab", "Enter", " "].includes(event.key)) goOn(event)
  else if (event.key === "Tab") tab(event)
}

function focused(event) {
  const box = event.target.closest("button") && event.target.closest(PLACE)
  place = box ? [box.parentElement, [...box.parentElement.children].indexOf(box)] : null
}

export default function () {
  if (window.sslKeyboard) return
  window.sslKeyboard = true
  document.addEventListener("keydown", typed, true)
  document.addEventListener("focusin", focused)
  document.addEventListener("pointerdown", () => { place = null })
}
