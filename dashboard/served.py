"""JavaScript and CSS of our components, loaded once a page from `static/`: what stands inline is sent again at every tick.

A component's HTML carries `served(name)`; its file exports `update(component)`, called at every change, and
`remove(parentElement)`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"
LOADER = """
export default function (component) {
  const box = component.parentElement.querySelector("[data-script]")
  const absolute = (path) => new URL(path, document.baseURI).href
  const style = absolute(box.dataset.style)
  if (!document.querySelector(`link[href="${style}"]`)) {
    document.head.appendChild(Object.assign(document.createElement("link"), { rel: "stylesheet", href: style }))
  }
  const drawing = import(absolute(box.dataset.script))
  drawing.then((module) => module.update(component))
  return () => drawing.then((module) => module.remove(component.parentElement))
}
"""


def served(name: str) -> str:
    """HTML attributes that name a component's two files, each with its own digest: after an update no old copy is used."""
    marks = {}
    for kind, ending in (("script", "js"), ("style", "css")):
        digest = hashlib.sha256((STATIC / f"{name}.{ending}").read_bytes()).hexdigest()[:12]
        marks[kind] = f"app/static/{name}.{ending}?v={digest}"
    return " ".join(f'data-{kind}="{path}"' for kind, path in marks.items())
