"""The dialog that forks a run: from which checkpoint, and which settings change. Each knob is drawn from its field in `config.py`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import queries, text, text_time, widgets
from sslcore import config as cfg
from sslcore import fork
from sslcore.config import ConfigError, RunConfig
from sslcore.events import Run


def knobs(config: RunConfig) -> list[str]:
    """Return the settings that the dialog offers: those that may change in a running run, and a few more."""
    live = [name for name, spec, _ in cfg.walk(config) if spec.metadata["live"]]
    return [*live, *text_time.FORK_KNOBS]


def nearest(step: int, checkpoints: Sequence[int], steps: int) -> int:
    """Return the checkpoint to offer for a step: the nearest from which there is something left to train, where there is one."""
    left = [at for at in checkpoints if at < steps] or checkpoints
    return min(left, key=lambda at: (abs(at - step), at))


def line(run: Run) -> str:
    """Say where a fork comes from and what was changed, as markdown; empty for a run that is none."""
    made = run.summary.get("fork")
    if not made:
        return ""
    before = made.get("before", {})
    changes = [f"`{name}` {before.get(name, '?')} \u2192 {value}" for name, value in made.get("changes", {}).items()]
    about = ", ".join(changes) if changes else "nothing changed"
    return f":material/fork_right: Forked from {text.escape(str(made['run']))} at step {text.number(made['step'])}: {about}"


@st.dialog(text_time.FORK_TITLE)
def ask_fork(run: Run, step: int) -> None:
    """Ask what to change, start the fork and show it on the Train page."""
    st.caption(text_time.FORK_TEXT)
    there = list(queries.checkpoints(run.id))
    if not there:
        st.info(text_time.NO_FORK, icon=":material/info:")
        return
    begin = nearest(step, there, run.steps)
    at = st.selectbox(
        text_time.FORK_FROM, there, index=there.index(begin), format_func=text.number, help=text_time.FORK_FROM_HELP
    )
    config = cfg.from_dict(run.config)
    values = {name: value for name, _, value in cfg.walk(config)}
    columns = st.columns(2)
    wanted = {}
    for i, name in enumerate(knobs(config)):
        with columns[i % 2]:
            wanted[name] = _knob(name, cfg.find(config, name), values[name])
    changes = {name: value for name, value in wanted.items() if value != values[name]}
    problem = ""
    try:
        fork.changed(config, changes)
        if wanted["train.steps"] <= at:
            problem = f"The fork begins at step {at:,}, so it needs more steps than that to train."
    except ConfigError as error:
        problem = str(error)
    if problem:
        st.error(text.escape(problem), icon=":material/error:")
    if st.button(
        text_time.FORK_START, type="primary", icon=":material/fork_right:", disabled=bool(problem), key="fork_start"
    ):
        made: list[str] = []
        widgets.attempt(lambda: made.append(queries.engine().fork(run.id, at, changes)))
        if made:
            widgets.started(made)
            st.switch_page("views/train.py", query_params={"run": made[0]})


def _knob(name: str, spec: dataclasses.Field[Any], value: Any) -> Any:
    """One knob: a list, or a number box that holds to the field's range."""
    label = text.setting_name(name) + (" (augmentation)" if name.startswith("augment.") else "")
    about = cfg.about(spec)
    if spec.metadata["choices"]:
        options = list(spec.metadata["choices"])
        return st.selectbox(label, options, index=options.index(value), help=about, key=f"fork.{name}")
    kind, _ = cfg.field_type(spec)
    low, high = spec.metadata["low"], spec.metadata["high"]
    return st.number_input(
        label, value=value, min_value=None if low is None else kind(low), max_value=None if high is None else kind(high),
        step=kind(max(1, value // 10)) if kind is int else 0.05 if 0.1 <= value <= 2 else (value / 10 or 0.05),
        format="%d" if kind is int else "%g", help=about, key=f"fork.{name}",
    )  # fmt: skip
