"""Runs as files: what can be saved of the selection, made only when it is asked for; and the command that makes a run again."""

from __future__ import annotations

from collections.abc import Sequence

from sslcore.events import Run


def save_menu(chosen: Sequence[Run]) -> None:
    """Everything as a zip, the metrics as CSV, a report as HTML."""
