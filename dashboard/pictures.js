// Each picture keeps its node and its place; a new one is shown once the browser has decoded it.
export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".ssl-pictures")
  box.style.gridTemplateColumns = `repeat(auto-fit, minmax(min(${data.least}px, 100%), ${data.most < 4096 ? data.most + "px" : "1fr"}))`
  const shown = (box.shown ||= [])
  while (shown.length < data.pictures.length) shown.push(box.appendChild(document.createElement("img")))
  while (shown.length > data.pictures.length) shown.pop().remove()
  data.pictures.forEach((picture, i) => {
    const image = shown[i]
    image.alt = picture.alt
    image.width = picture.width
    image.height = picture.height
    if (image.wanted === picture.src) return
    image.wanted = picture.src
    const next = new Image()
    next.src = picture.src
    const show = () => { if (image.wanted === picture.src) image.src = picture.src }
    next.decode().then(show, show)
  })
}
