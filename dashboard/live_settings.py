"""Change a run while it trains: the settings that `config.py` calls live, with what they are now, and a button that applies them."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from dashboard import queries, text, widgets
from sslcore import config as cfg
from sslcore import events as ev
from sslcore.config import ConfigError, RunConfig
from sslcore.events import Run
from sslcore.store import StoreError


def live_settings(run: Run | None) -> None:
    """Draw the button that opens the panel; it can be pressed where a change would have an effect."""
    config = _settings(run)
    can = {"pause", "resume"} & queries.possible(run)  # also of one that diverged: a lower rate may carry it further
    usable = run is not None and config is not None and bool(can or run.state == ev.PAUSING)
    with st.popover("Change", icon=":material/tune:", disabled=not usable, help=text.CHANGE_HELP, key="change"):
        if run is not None and config is not None and usable:
            _panel(run, config)


def _panel(run: Run, config: RunConfig) -> None:
    st.markdown(f"**{text.CHANGE_TITLE}**")
    st.caption(text.CHANGE_RESTING if run.state not in ev.ACTIVE else text.CHANGE_RUNNING)
    with st.form("live_settings", border=False):
        wanted = {path: _widget(run.id, path, spec, value) for path, spec, value in live_of(config)}
        if st.form_submit_button("Apply", type="primary", icon=":material/check:", key="apply"):
            _apply(run, {path: value for path, spec, old in live_of(config) if (value := wanted[path]) != old})


def live_of(config: RunConfig) -> list[tuple[str, dataclasses.Field[Any], Any]]:
    """Return (dotted name, field, present value) of what may change during a run."""
    return [(path, spec, value) for path, spec, value in cfg.walk(config) if spec.metadata["live"]]


def _widget(run_id: str, path: str, spec: dataclasses.Field[Any], value: Any) -> Any:
    # The value is part of the key: once a change has taken effect, here or in another tab, the box shows it.
    key, label, about = (
        f"live.{run_id}.{path}.{value}",
        text.setting_name(path),
        cfg.about(spec),
    )
    if spec.metadata["choices"]:
        options = list(spec.metadata["choices"])
        return st.selectbox(label, options, index=options.index(value), key=key, help=about)
    kind, _ = cfg.field_type(spec)
    if kind is bool:
        return st.toggle(label, value=value, key=key, help=about)
    low, high = spec.metadata["low"], spec.metadata["high"]
    return st.number_input(
        label, min_value=None if low is None else kind(low), max_value=None if high is None else kind(high), value=kind(value),
        step=kind(text.step_of(kind, value)), format="%d" if kind is int else "%g", key=key, help=about,
    )  # fmt: skip


def _apply(run: Run, changes: dict[str, Any]) -> None:
    if widgets.again(f"apply {changes}"):
        return
    try:
        changes = queries.engine().set(run.id, changes)
    except (ConfigError, StoreError) as problem:
        st.error(text.escape(str(problem)), icon=":material/error:")
        return
    if not changes:
        st.toast(text.CHANGE_NOTHING)
        return
    when = "at the next step" if run.state in ev.ACTIVE else "with the first step after Resume"
    told = ", ".join(f"{text.setting_name(path).lower()} = {queries.short(value)}" for path, value in changes.items())
    st.toast(text.escape(f"{told}: takes effect {when}, and is marked on the charts."), icon=":material/check:")


def _settings(run: Run | None) -> RunConfig | None:
    """The run's settings, changes that have yet to act included; None for a run of another version, which is only looked at."""
    try:
        return queries.engine().settings(run.id) if run else None
    except (ConfigError, StoreError):
        return None


def told(now: queries.Snapshot) -> str:
    """What was changed during the run, the newest first, in one line of markdown; empty if nothing was."""
    lines = [
        f"step {text.number(change.step)}: {text.setting_name(change.name).lower()} "
        + (f"{queries.short(change.old)} \u2192 " if change.old is not None else "")
        + queries.short(change.new)
        for change in reversed(now.changes)
    ]
    more = f", and {len(lines) - 4} earlier" if len(lines) > 4 else ""
    return text.escape("Changed at " + "; ".join(lines[:4]) + more) if lines else ""
