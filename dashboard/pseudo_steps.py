"""What the two exhibits of the Pseudo-labels page share: which step is shown, and the gate's knobs with the run's own values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from dashboard import queries, sandbox, text, text_pseudo, widgets
from sslcore.events import Run

BIND: Final = "query-params"


def slider(run: Run, newest: int) -> int:
    """Draw the slider over the run's steps and return where it stands; at its right end it follows the run.

    It ends at the `newest` keyframe of a run that has ended, and isn't drawn where that is the first one.
    """
    last = run.steps if widgets.to_come(run) else newest
    if last == 0:
        return 0
    return int(
        st.slider(
            "Step", 0, last, last, step=queries.planned_stride(run), format="%,d", key=f"step.{last}", bind=BIND, help=text_pseudo.STEP_HELP
        )
    )  # fmt: skip


def nearest(steps: Sequence[int], wanted: int) -> int:
    """Return the one of the sorted steps that is nearest to the wanted one, the later of two."""
    return min(reversed(steps), key=lambda step: abs(step - wanted))


def own(run: Run, name: str, default: Any) -> Any:
    """Return a setting of the run's own method, or the default where the method has no such setting."""
    return run.config.get("method", {}).get(name, default)


def own_tau(run: Run) -> float:
    """Return the run's own threshold, else the papers' 0.95."""
    return float(own(run, "threshold", 0.95))


def tau(run: Run) -> float:
    """Draw the slider of tau; its first value is the run's own."""
    return float(
        st.slider(
            "Threshold \u03c4",
            0.0,
            1.0,
            own_tau(run),
            step=0.01,
            key=_tau_key(run),
            bind=BIND,
            help=text_pseudo.TAU_HELP,
        )
    )


def set_tau(run: Run, value: float) -> None:
    """Move the slider of tau; only before it is drawn, as in a callback."""
    st.session_state[_tau_key(run)] = round(min(max(float(value), 0.0), 1.0), 2)


def _tau_key(run: Run) -> str:
    return f"tau.{own_tau(run):g}"  # another run with another threshold begins with its own


def mapping(run: Run) -> tuple[str, bool]:
    """Draw FlexMatch's mapping and warm-up and return them."""
    first, warm = str(own(run, "mapping", "convex")), bool(own(run, "threshold_warmup", True))
    kinds = list(sandbox.MAPPINGS)
    picked = st.segmented_control(
        "Mapping", kinds, default=first, required=True, key=f"mapping.{first}", bind=BIND, help=text_pseudo.MAPPING_HELP
    )
    warmup = st.toggle("Warm-up", warm, key=f"warmup.{warm}".lower(), bind=BIND, help=text_pseudo.WARMUP_HELP)
    return (picked if picked in kinds else first), bool(warmup)


def recorded(run: Run, counts: Any) -> bool:
    """Whether counts (C + 1,) are a FlexMatch run's records; other methods keep none."""
    return run.method == "flexmatch" and counts is not None and bool(counts.sum())


def all_labelled(run: Run) -> bool:
    """Whether every training image of a run has its label, so that its probe holds labelled ones."""
    return run.summary.get("num_unlabeled") == 0


def probed(run: Run) -> str:
    """Which kind of images a run's probe holds."""
    return "labelled" if all_labelled(run) else "unlabelled"


def about(run: Run, step: int, newest: bool) -> None:
    """One line: which step is shown, and what the run is."""
    own = text_pseudo.OWN.get(run.method, text.METHODS[run.method])
    own = text_pseudo.ALL_LABELLED if all_labelled(run) else own
    st.caption(f"{text_pseudo.shown_at(step, newest, run.steps)}. {own}")
