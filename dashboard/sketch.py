"""Draw a curve by hand or by keyboard, then see the real one over it: a small component.

The drawn curve is COUNT values in [0, 1] at evenly spaced moments of a run. It is kept in the session under the
component's key, so that it outlives a visit to another page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

COUNT = 11
FLAT = (0.5,) * COUNT

_HERE = Path(__file__).resolve().parent
_component = st.components.v2.component(
    "ssl_sketch",
    html='<div class="ssl-sketch"></div>\n',
    css=(_HERE / "sketch.css").read_text(encoding="utf-8"),
    js=(_HERE / "sketch.js").read_text(encoding="utf-8"),
)


def drawn(key: str) -> tuple[float, ...]:
    """The curve as it was drawn so far; a flat one before that."""
    found: tuple[float, ...] = st.session_state.get(f"{key}_drawn", FLAT)
    return found


def touched(key: str) -> bool:
    return f"{key}_drawn" in st.session_state


def forget(key: str) -> None:
    st.session_state.pop(f"{key}_drawn", None)


def checked(values: object) -> tuple[float, ...] | None:
    """What the browser sent, as COUNT numbers in [0, 1]; None if it is anything else."""
    if not isinstance(values, (list, tuple)) or len(values) != COUNT:
        return None
    if not all(isinstance(value, (int, float)) and 0 <= value <= 1 for value in values):
        return None
    return tuple(float(value) for value in values)


def sketch(
    key: str, *, alt: str, real: tuple[np.ndarray, np.ndarray] | None = None, name: str = ""
) -> tuple[float, ...]:
    """Draw the pad and return the curve on it. `real`: (share of the run, value) of the true curve, which ends the drawing."""

    def moved() -> None:
        if (values := checked(st.session_state[key].get("drawn"))) is not None:
            st.session_state[f"{key}_drawn"] = values

    curve: Sequence[Sequence[float]] = ()
    if real is not None:
        known = ~np.isnan(real[1])
        curve = np.round(np.column_stack([real[0][known], real[1][known]]), 4).tolist()
    data = {"points": list(drawn(key)), "real": curve, "name": name, "alt": alt}
    _component(data=data, key=key, on_drawn_change=moved)
    return drawn(key)
