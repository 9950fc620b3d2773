"""The sidebar's form for a sweep: what is trained, with which label counts and seeds. It stands in the URL.

Values that belong to a starting point carry its name there (but for the default one): a change of it brings its own.
`fill` writes a kept plan into the form.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from dashboard import curve_queries, settings_form, text
from dashboard import text_curves as words
from sslcore import config as cfg
from sslcore import presets, sweep
from sslcore.config import ConfigError
from sslcore.options import assignment
from sslcore.sweep import Plan

BIND: Final = "query-params"
_NAMED = {named.plan.preset: name for name, named in sweep.NAMED.items()}
BASES = (*sweep.NAMED, *(name for name in presets.PRESETS if name not in _NAMED))
TITLES = {
    name: sweep.NAMED[name].title if name in sweep.NAMED else presets.PRESETS[name].title for name in BASES
}  # fmt: skip
OWN = ("data.source", "train.steps")  # settings that have a widget of their own here


@dataclass(frozen=True)
class Asked:
    """What the form says: a plan, or one sentence about what is wrong with it."""

    plan: Plan | None
    problem: str = ""


def base_plan(base: str) -> Plan:
    """The plan that a starting point begins with."""
    if base in sweep.NAMED:
        return sweep.NAMED[base].plan
    labels = presets.PRESETS[base].config.data.labels
    return Plan(base, labels=tuple(sorted({labels, 2 * labels})))


def form() -> Asked:
    """Draw the form where the caller stands and return what it says."""
    _first_visit()
    base = st.selectbox(
        words.BASE, BASES, index=BASES.index(sweep.DEFAULT), format_func=TITLES.__getitem__, key="sweep", bind=BIND, help=words.BASE_HELP
    )  # fmt: skip
    if base not in BASES:
        base = sweep.DEFAULT
    plan = base_plan(base)
    st.caption(sweep.NAMED[base].note if base in sweep.NAMED else presets.PRESETS[base].note)
    start = presets.build(plan.preset, "supervised")
    prefix = "sweep." if base == sweep.DEFAULT else f"{base}."
    source = settings_form.source(start, prefix)
    methods = st.pills(
        "Methods", list(text.METHODS), selection_mode="multi", default=list(text.METHODS), format_func=text.METHODS.__getitem__,
        key="with", bind=BIND, help=words.METHODS_HELP,
    )  # fmt: skip
    counts = st.text_input(
        words.COUNTS, value=sweep.span(plan.labels), key=f"{prefix}counts", bind=BIND, help=words.COUNTS_HELP
    )
    left, right = st.columns(2)
    with left:
        seeds = st.text_input(words.SEEDS, value="0", key="seeds", bind=BIND, help=words.SEEDS_HELP)
    with right:
        usual = start.train.steps
        steps = settings_form.number(
            start, "train.steps", f"{prefix}budget", "Steps", step=text.step_of(int, usual)
        )  # fmt: skip
    more = st.text_input(words.MORE, value="", key="more", bind=BIND, placeholder="optim.lr=0.05", help=words.MORE_HELP)
    try:
        settings: dict[str, Any] = {}
        if source != start.data.source:
            settings["data.source"] = source
        if steps is not None and int(steps) != usual:
            settings["train.steps"] = int(steps)
        settings |= _more(more or "")
        settings_form.check_folder(source)
        found = Plan(
            plan.preset, tuple(name for name in cfg.METHOD_NAMES if name in (methods or ())), sweep.counts("Label counts", counts or ""),
            sweep.counts("Seeds", seeds or ""), settings,
        )  # fmt: skip
        found = _in_order(found)
        curve_queries.cells(found)
        return Asked(found)
    except (ConfigError, ValueError) as problem:
        return Asked(None, str(problem))


def _in_order(plan: Plan) -> Plan:
    """Counts rise, whatever the order in which they were typed; a number typed twice is meant once."""
    return Plan(
        plan.preset, plan.methods, tuple(sorted(set(plan.labels))), tuple(sorted(set(plan.seeds))), plan.settings
    )


def _more(typed: str) -> dict[str, str]:
    try:
        parts = shlex.split(typed)
    except ValueError:  # a quotation mark that isn't closed
        raise ConfigError(f"{words.MORE} must be written NAME=VALUE, got {text.shorten(typed)!r}") from None
    found = dict(assignment(part) for part in parts)
    if own := sorted(set(OWN) & set(found)):
        raise ConfigError(f"{own[0]} has a field of its own above")
    return found


def fill(plan: Plan) -> None:
    """Write a plan into the form: to be called before its widgets are drawn, or in a callback."""
    base = _NAMED.get(plan.preset, plan.preset)
    if base not in BASES:
        return
    prefix = "sweep." if base == sweep.DEFAULT else f"{base}."
    state, usual = st.session_state, presets.build(plan.preset, "supervised")
    source = str(plan.settings.get("data.source", usual.data.source))
    kind, _, path = source.partition(":")
    state["sweep"], state["with"] = base, list(plan.methods)
    state[f"{prefix}counts"], state["seeds"] = sweep.span(plan.labels), sweep.span(plan.seeds)
    state[f"{prefix}budget"] = int(plan.settings.get("train.steps", usual.train.steps))
    state[f"{prefix}data"] = kind
    if kind == "folder":
        state["folder"] = path
    others = {name: value for name, value in plan.settings.items() if name not in OWN}
    state["more"] = " ".join(shlex.quote(f"{name}={_written(value)}") for name, value in others.items())


def _written(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _first_visit() -> None:
    """Without anything in the address: the sweep that was used last here, so that after a restart it is one click to go on."""
    if st.session_state.get("curves_met"):
        return
    st.session_state["curves_met"] = True
    if set(st.query_params) & {"sweep", "with", "seeds", "more"} or any("counts" in name for name in st.query_params):
        return
    if found := curve_queries.kept():
        fill(found[0])


def describe(plan: Plan) -> str:
    """A plan in one line."""
    source = str(plan.settings.get("data.source") or presets.PRESETS[plan.preset].config.data.source)
    steps = plan.settings.get("train.steps") or presets.build(plan.preset, plan.methods[0]).train.steps
    parts = [
        text.data_name(source),
        ", ".join(words.method(name) for name in plan.methods)
        if len(plan.methods) < 3
        else f"{len(plan.methods)} methods",
    ]
    parts += [
        f"{words.ranged(plan.labels)} labels",
        words.seeds(plan.seeds),
    ]
    return " \u00b7 ".join([*parts, f"{int(steps):,} steps"])
