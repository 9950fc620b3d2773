"""How one setting is declared, described, checked and read from text. What the settings are stands in `config.py`. No torch here."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import field
from typing import Any


class ConfigError(ValueError):
    """A setting that can't be used; the message is one sentence for the person who typed it."""


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    above: bool = False,
    live: bool = False,
    numbers: bool = True,
) -> Any:
    """Declare one field. The range is [low, high]; `above` opens the lower end; `live`: may change during a run.

    `numbers` False: it decides none of a run's numbers, so runs that differ in nothing else are the same.
    """
    meta = {
        "help": help,
        "low": low,
        "high": high,
        "unit": unit,
        "choices": choices,
        "above": above,
        "live": live,
        "numbers": numbers,
    }
    return field(default=default, metadata=meta)


def allowed(spec: dataclasses.Field[Any]) -> str:
    """Say in words what a setting may be: "a number from 0 to 1", "one of paper, off"."""
    kind, optional = field_type(spec)
    meta = spec.metadata
    if meta.get("choices"):
        text = "one of " + ", ".join(meta["choices"])
    elif kind is bool:
        text = "true or false"
    elif kind is str:
        text = "text"
    else:
        text = "a whole number" if kind is int else "a number"
        low, high = meta.get("low"), meta.get("high")
        if low is not None:
            text += f" {'above' if meta.get('above') else 'from'} {low:,}"
        if high is not None:
            text += f" {'up ' if meta.get('above') else ''}to {high:,}"
    return text + (" or empty" if optional else "")


def about(spec: dataclasses.Field[Any]) -> str:
    """Say what a setting means, in which unit, and what it may be: "optimizer steps (steps: a whole number from 1)"."""
    unit = spec.metadata["unit"]
    return f"{spec.metadata['help']} ({unit + ': ' if unit else ''}{allowed(spec)})"


def field_type(spec: dataclasses.Field[Any]) -> tuple[type, bool]:
    """Return (type, may be None) of a field, its annotation resolved."""
    hint: Any = _TYPE_NAMES[spec.type] if isinstance(spec.type, str) else spec.type
    if isinstance(hint, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return kinds[0], True
    return hint, False


_TYPE_NAMES: dict[str, Any] = {
    "str": str, "int": int, "float": float, "bool": bool, "int | None": int | None, "float | None": float | None, "str | None": str | None,
}  # fmt: skip


def check(path: str, spec: dataclasses.Field[Any], value: Any) -> None:
    """Raise ConfigError unless `value` may stand in `spec`."""
    kind, optional = field_type(spec)
    meta = spec.metadata
    ok: bool
    if value is None:
        ok = optional
    elif kind is bool:
        ok = isinstance(value, bool)
    elif kind is str:
        ok = isinstance(value, str) and (not meta.get("choices") or value in meta["choices"])
    else:
        number = isinstance(value, int) if kind is int else isinstance(value, (int, float))
        # A whole number may be larger than any float: Python compares the two all the same.
        ok = number and not isinstance(value, bool) and (isinstance(value, int) or math.isfinite(value))
        low, high = meta.get("low"), meta.get("high")
        if ok and low is not None:
            ok = value > low if meta.get("above") else value >= low
        if ok and high is not None:
            ok = value <= high
    if not ok:
        raise ConfigError(f"{path} must be {allowed(spec)}, got {short(value)}")


def short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of very many digits"
    return text if len(text) <= 120 else text[:117] + "..."


def parse(path: str, spec: dataclasses.Field[Any], text: str) -> Any:
    """Turn what a person typed into the field's type; ConfigError if it can't be."""
    kind, optional = field_type(spec)
    text = text.strip()
    try:
        if optional and text.lower() in ("", "none", "null", "empty"):
            return None
        if kind is bool:
            return {
                "true": True,
                "yes": True,
                "on": True,
                "1": True,
                "false": False,
                "no": False,
                "off": False,
                "0": False,
            }[text.lower()]
        if kind is int:
            return int(text.replace("_", ""))
        if kind is float:
            return float(text)
    except (ValueError, KeyError):
        raise ConfigError(f"{path} must be {allowed(spec)}, got {short(text)}") from None
    return text
