"""Formulas and paths, line by line as plain text writes them -> HTML that breaks on a narrow screen instead of scrolling. Pure."""

from __future__ import annotations

import html
import re

STYLE = (
    "<style>.set-lines { padding: .8rem 1rem; border-radius: .5rem; background: rgba(127, 127, 127, .1); font-size: .875rem; line-height: 1.5;"
    " font-family: ui-monospace, 'Source Code Pro', monospace; }"
    " .set-lines div { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 2ch; padding: .1rem 0; }"
    " .set-lines span { white-space: pre-wrap; overflow-wrap: anywhere; padding-left: var(--in); text-indent: calc(-1 * var(--in)); }"
    " .set-lines i { margin-left: auto; font-style: normal; opacity: .75; }</style>"
)


def page(block: str) -> str:
    """Return the lines of a block: what follows three spaces or more is a note at the right edge, and a line that is too
    long goes on below what stands right of its sign of equality."""
    return STYLE + f'<div class="set-lines">{"".join(map(_line, block.splitlines()))}</div>'


def _line(line: str) -> str:
    formula, *notes = re.split(r" {3,}(?![ =])", line)
    sign = re.match(r"[^=]*= ", formula)
    note = f"<i>{html.escape('  '.join(notes))}</i>" if notes else ""
    return f'<div><span style="--in: {len(sign[0]) if sign else 0}ch">{html.escape(formula)}</span>{note}</div>'
