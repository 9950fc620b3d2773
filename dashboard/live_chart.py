"""The streaming chart: a Components-v2 wrapper around Plotly.react that keeps zoom, pan, hover and legend choices.

`st.plotly_chart` is torn down and built anew on every change of its data; this one keeps its node and is only given
new numbers, as bytes: Streamlit would turn a dict into JSON twice at every tick. plotly's JavaScript is written once
from the installed package into `static/`, ours lies there, and a page loads each once.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.figures import Figure
from dashboard.served import LOADER, STATIC, served


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


_component = st.components.v2.component(
    "ssl_live_chart",
    html=f'<div class="ssl-chart" role="figure" {served("live_chart")}><div class="plot"></div><div class="wait"></div><div class="tools"></div></div>\n',
    js=LOADER,
    isolate_styles=False,  # plotly's own styles stand in the page's head
)


def split(figure: Figure) -> tuple[str, ...]:
    """Return a figure as JSON in which arrays are named by their number, then the arrays; one that traces share is there once."""
    arrays: dict[str, int] = {}

    def shared(value: Any) -> Any:
        if isinstance(value, dict) and "bdata" in value:
            return {"ref": arrays.setdefault(value["bdata"], len(arrays))}
        return value

    traces = [{name: shared(value) for name, value in trace.items()} for trace in figure["data"]]
    return json.dumps({"data": traces, "layout": figure["layout"]}, separators=(",", ":")), *arrays


def encode(figure: Figure) -> bytes:
    """Return a figure as the browser gets it, arrays and all."""
    shell, *arrays = split(figure)
    return f'{shell[:-1]},"arrays":{json.dumps(arrays, separators=(",", ":"))}}}'.encode()


def live_chart(
    figure: Figure | bytes | None,
    *,
    key: str,
    view: str,
    height: int,
    alt: str,
    wait: str = "",
    on_click: Callable[[], None] | None = None,
) -> None:
    """Draw a figure of `charts`, or what `encode` made of it; call it again with the same `key` to give it new numbers.

    None: what the page's feed (`live_feed`) tells of the chart `key`, now and whenever it changes.
    `view` names what is shown (the run): while it stays, the user's zoom and legend choices stay; `wait` stands in an
    empty chart. The height in pixels never changes, so nothing below jumps. A click on a point leaves
    `st.session_state[key].click` = [x, y] and calls `on_click`.
    """
    head = {
        "view": view,
        "height": height,
        "alt": alt,
        "wait": wait,
        "name": key,
        "src": _source(),
        "clicks": on_click is not None,
        "fed": figure is None,
    }
    sent = b"" if figure is None else figure if isinstance(figure, bytes) else encode(figure)
    data = json.dumps(head).encode() + b"\n" + sent
    if on_click is None:
        _component(data=data, key=key, height=height)
    else:
        _component(data=data, key=key, height=height, on_click_change=on_click)


def preload() -> None:
    """Let the browser load plotly's JavaScript while nothing is shown yet, so that the first curve needn't wait for it."""
    _component(data=json.dumps({"src": _source()}).encode() + b"\n", key="preload", height=1)


def _source() -> str:
    return f"app/static/{plotly_file().name}"
