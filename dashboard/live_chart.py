"""The streaming chart: a Components-v2 wrapper around Plotly.react that keeps zoom, pan, hover and legend choices.

`st.plotly_chart` is torn down and built anew on every change of its data; this one keeps its node and is only given
new numbers. plotly's JavaScript is written once from the installed package into `static/` and loaded once a page.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.charts import Figure

STATIC = Path(__file__).resolve().parent / "static"


@cache
def plotly_file() -> Path:
    """Return where the browser finds plotly's JavaScript, named by version so that an update is never a stale cache."""
    return STATIC / f"plotly-{metadata.version('plotly')}.min.js"


def install_plotly() -> None:
    """Copy plotly's JavaScript into `static/` unless it is there; safe in several processes at once. OSError if it can't be."""
    target = plotly_file()
    if target.exists():
        return
    spec = util.find_spec("plotly")
    assert spec is not None and spec.origin is not None
    STATIC.mkdir(exist_ok=True)
    descriptor, temp = tempfile.mkstemp(dir=STATIC, suffix=".tmp")
    os.close(descriptor)
    try:
        shutil.copyfile(Path(spec.origin).parent / "package_data" / "plotly.min.js", temp)
        os.chmod(temp, 0o644)
        os.replace(temp, target)
    finally:
        Path(temp).unlink(missing_ok=True)


_HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "ssl_live_chart",
    html='<div class="ssl-chart" role="figure"><div class="plot"></div><div class="wait"></div><div class="tools"></div></div>',
    css=(_HERE / "live_chart.css").read_text(encoding="utf-8"),
    js=(_HERE / "live_chart.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # plotly's own styles stand in the page's head
)


def live_chart(figure: Figure, *, key: str, view: str, height: int, alt: str, wait: str = "") -> None:
    """Draw a figure of `charts`; call it again with the same `key` to give it new numbers.

    `view` names what is shown (the run): while it stays, the user's zoom and legend choices stay; `wait` stands in an
    empty chart. The height in pixels never changes, so nothing below jumps.
    """
    data: dict[str, Any] = {
        "figure": figure, "view": view, "height": height, "alt": alt, "wait": wait, "name": key, "src": _source()
    }  # fmt: skip
    _component(data=data, key=key, height=height)


def preload() -> None:
    """Let the browser load plotly's JavaScript while nothing is shown yet, so that the first curve needn't wait for it."""
    _component(data={"figure": None, "src": _source()}, key="preload", height=1)


def _source() -> str:
    return f"app/static/{plotly_file().name}"
