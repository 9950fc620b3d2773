// What the components of several pages share: a shape for each state of a run, and three ways to make a node.
const SVG = "http://www.w3.org/2000/svg"
export const SHAPES = {  // 12 x 12, one a state: never colour alone
  queued: "M3 1h6v2L7 6l2 3v2H3V9l2-3-2-3z", running: "M3 1l8 5-8 5z", pausing: "M2 1h3v10H2zM7 1h3v10H7z", paused: "M2 1h3v10H2zM7 1h3v10H7z",
  stopping: "M2 2h8v8H2z", stopped: "M2 2h8v8H2z", finished: "M1 6l2-2 2 2 4-5 2 2-6 7z", failed: "M1 3l2-2 3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3z",
  diverged: "M1 10l4-5 2 2 3-4-2-1h3.5v4L11 5 7 10 5 8l-2.5 3z", interrupted: "M5 0h2v6H5zM3 2v2a4 4 0 1 0 6 0V2a5.5 5.5 0 1 1-6 0z",
}

export function make(parent, tag, className, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return parent.appendChild(node)
}

export function draw(parent, tag, attributes) {
  const node = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  return parent.appendChild(node)
}

export function picture(parent, width, height) {
  return draw(parent, "svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" })
}
