"""The streaming chart: a Components-v2 wrapper around Plotly.react that keeps zoom, pan, hover and legend choices.

`st.plotly_chart` is torn down and built anew on every change of its data; this one keeps its node and is only given
new numbers. plotly's JavaScript is written once from the installed package into `static/` and loaded once a page.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import metadata, util
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.charts import Figure

STATIC = Path(__file__).resolve().parent / "static"


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


CSS = """
.ssl-chart { position: relative; width: 100%; overflow: hidden; }
.ssl-chart .plot { position: absolute; inset: 0; }
.ssl-chart .wait { position: absolute; inset: 0; display: flex; align-items: center; justify-content: center;
  color: var(--st-text-color); opacity: .45; font-size: .85rem; text-align: center; padding: 0 1rem; pointer-events: none; }
.ssl-chart .table { position: absolute; inset: 0; overflow: auto; background: var(--st-background-color); color: var(--st-text-color);
  font-size: .8rem; padding-right: 6.5rem; }
.ssl-chart table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.ssl-chart th { position: sticky; top: 0; background: var(--st-secondary-background-color); }
.ssl-chart th, .ssl-chart td { text-align: right; padding: .15rem .6rem; border-bottom: 1px solid var(--st-border-color); white-space: nowrap; }
.ssl-chart .tools { position: absolute; top: 0; right: 0; display: flex; gap: 2px; z-index: 5; opacity: 0; transition: opacity .15s; }
.ssl-chart:hover .tools, .ssl-chart:focus-within .tools, .ssl-chart.open .tools { opacity: 1; }
.ssl-chart .tools button { font: inherit; font-size: .7rem; line-height: 1; padding: .28rem .4rem; cursor: pointer; color: var(--st-text-color);
  background: var(--st-secondary-background-color); border: 1px solid var(--st-border-color); border-radius: .3rem; }
.ssl-chart .tools button:focus-visible { outline: 2px solid var(--st-primary-color); }
"""

HTML = """
<div class="ssl-chart" role="figure">
  <div class="plot"></div><div class="wait"></div>
  <div class="tools"></div>
</div>
"""

JS = (Path(__file__).resolve().parent / "live_chart.js").read_text(encoding="utf-8")

_component = st.components.v2.component("ssl_live_chart", html=HTML, css=CSS, js=JS, isolate_styles=False)


def live_chart(figure: Figure, *, key: str, view: str, height: int, alt: str, wait: str = "") -> None:
    """Draw a figure of `charts`; call it again with the same `key` to give it new numbers.

    `view` names what is shown (the run): while it stays, the user's zoom and legend choices stay; `wait` stands in an
    empty chart. The height in pixels never changes, so nothing below jumps.
    """
    data: dict[str, Any] = {
        "figure": figure, "view": view, "height": height, "alt": alt, "wait": wait, "name": key, "src": f"app/static/{plotly_file().name}"
    }  # fmt: skip
    _component(data=data, key=key, height=height)
