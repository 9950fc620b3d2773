"""The words and numbers of a run's HTML report: with what they must be told with; settings, history. No torch.

Everything that a person typed, or that came with an imported run, is escaped by `esc` where it enters the HTML.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sslcore import config as cfg
from sslcore import events as ev
from sslcore import presets
from sslcore.report_charts import esc, percent, plain, written
from sslcore.store import Store

METHODS = {"supervised": "Supervised", "mixmatch": "MixMatch", "fixmatch": "FixMatch", "flexmatch": "FlexMatch"}
PAPERS = 2**20  # optimizer steps of the papers' runs
PHOTOS = ("cifar", "svhn", "stl")


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def clock(moment: float | None) -> str:
    return "-" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(moment))


def steps(run: ev.Run) -> str:
    """Steps taken of those planned, and for the papers' photographs how much of the papers' budget that is."""
    done = f"{run.step:,} of {run.steps:,}" if run.step != run.steps else f"{run.steps:,}"
    return done + (f" ({100 * run.step / PAPERS:.2g} % of the papers' 2^20)" if run.data.startswith(PHOTOS) else "")


def told_with(run: ev.Run) -> str:
    """What an accuracy of this run must be told with, in one line."""
    where = f"{run.summary.get('title', run.data)}, {run.labels:,} labels, seed {run.seed}, {steps(run)} steps"
    return f"{METHODS.get(run.method, run.method)} on {where}; {device(run)}, {duration(run.seconds)} of training"


def device(run: ev.Run) -> str:
    summary = run.summary
    if "device" not in summary:
        return "no device yet"
    name, threads = summary.get("device_name", summary["device"]), summary.get("threads", 0)
    if summary["device"] != "cpu" or not threads:
        return str(name)
    return f"CPU, {threads} thread{'s' * (threads != 1)}"


def headline(store: Store, run: ev.Run) -> str:
    """The run's numbers as tiles, each with what it means."""
    summary, train = run.summary, store.points(run.id, ev.TRAIN)
    at = store.points(run.id, ev.EVAL)["step"]
    when = f"at step {int(at[-1]):,}" if len(at) else "not evaluated yet"
    tiles = [
        (
            "Test accuracy, EMA",
            percent(summary.get("test_accuracy"), 2),
            f"averaged weights, {when}; never used to choose anything",
        ),
        ("Test accuracy, raw", percent(summary.get("test_accuracy_raw"), 2), f"weights as they are, {when}"),
    ]
    if "test_balanced_accuracy" in summary:
        told = "mean recall of the classes, averaged weights: a rare class counts as much as a frequent one"
        tiles.append(("Balanced test accuracy, EMA", percent(summary["test_balanced_accuracy"], 2), told))
    if "best_val_accuracy" in summary:
        best = (
            f"validation {percent(summary['best_val_accuracy'], 2)} at step {summary.get('best_step', 0):,}, its best"
        )
        tiles.append(("Test accuracy at best validation", percent(summary.get("test_accuracy_at_best"), 2), best))
    for name, title, meaning in (
        ("train/mask_rate", "Mask rate", "share of the pseudo-labels that is kept"),
        (
            "train/purity",
            "Purity",
            "share of the kept ones that is right; uses hidden labels, a look behind the scenes",
        ),
        (
            "train/foreign_kept",
            "Foreign images kept",
            "share of the images of foreign classes that were given a pseudo-label",
        ),
    ):
        values = train.get(name, np.zeros(0))
        known = values[np.isfinite(values)]
        if len(known):
            tiles.append((title, percent(float(known[-1])), f"{meaning}; at the last logged step"))
    cells = "".join(f"<div class='tile'><h4>{esc(a)}</h4><b>{esc(b)}</b><p>{esc(c)}</p></div>" for a, b, c in tiles)
    return f"<div class='tiles'>{cells}</div>"


def facts(run: ev.Run) -> str:
    """Everything else that there is to know of a run, as a list of names and values."""
    summary = run.summary
    rows: list[tuple[str, Any]] = [
        ("Method", METHODS.get(run.method, run.method)), ("Data", summary.get("title", run.data)), ("Source", run.data),
        ("Labels", f"{run.labels:,}"), ("Seed", run.seed), ("Steps", steps(run)), ("Training time", f"{duration(run.seconds)}, evaluation included"),
        ("Device", device(run)),
    ]  # fmt: skip
    if run.step and run.seconds:
        rows.append(("Speed", f"{1000 * run.seconds / run.step:,.1f} ms per step"))
        if "images_per_step" in summary:
            rows[-1] = (
                "Speed",
                f"{rows[-1][1]}, {run.step * summary['images_per_step'] / run.seconds:,.0f} images per second",
            )
    if "compile_seconds" in summary:
        rows.append(("First step", f"{duration(summary['compile_seconds'])}, compiling included"))
    for name, title in (
        ("num_unlabeled", "Unlabelled images"),
        ("num_val", "Validation images"),
        ("num_test", "Test images"),
        ("parameters", "Parameters"),
    ):
        if name in summary:
            rows.append((title, f"{summary[name]:,}"))
    rows += [
        ("Preset", run.preset or "-"),
        ("Started", clock(run.started or run.created)),
        ("Ended", clock(run.ended)),
        ("Run", run.id),
    ]
    rows += [("torch", summary["torch"])] if "torch" in summary else []
    rows += [("Weights, sha256", summary["weights_sha256"])] if "weights_sha256" in summary else []
    if origin := summary.get("imported"):
        rows.append(("Imported", f"{clock(origin['time'])}, exported on {origin['host']} as {origin['id']}"))
    return "<dl class='facts'>" + "".join(f"<div><dt>{esc(a)}</dt><dd>{esc(b)}</dd></div>" for a, b in rows) + "</dl>"


def command(run: ev.Run) -> str:
    """The command that trains with the run's settings, and what stands against its numbers being the very same."""
    try:
        line = presets.reproduce(run)
    except cfg.ConfigError as error:  # settings of another version
        return f"<p class='note'>No command of this version reproduces this run: {esc(error)}.</p>"
    return f"<pre class='command'>{esc(line)}</pre><p class='faint'>{esc(presets.caveat(run))}</p>"


def settings(runs: Sequence[ev.Run], names: Sequence[str]) -> str:
    """All settings: for one run those unlike the preset's in bold; for several those that differ in a table of their own first."""
    tables = [
        {f"{part}.{key}": value for part, values in run.config.items() for key, value in values.items()} for run in runs
    ]
    order = list(dict.fromkeys(name for table in tables for name in table))
    if len(runs) == 1:
        start = _preset(runs[0])
        cells = "".join(
            f"<div{' class=own' if name in start and start[name] != value else ''}><dt>{esc(name)}</dt><dd>{esc(written(value))}</dd></div>"
            for name, value in tables[0].items()
        )
        return f"<p class='faint'>Bold: differs from the preset {esc(runs[0].preset or presets.DEFAULT)}.</p><dl class='facts settings'>{cells}</dl>"
    differ = [name for name in order if len({written(table.get(name, "-")) for table in tables}) > 1]
    same = [name for name in order if name not in differ]
    head = "<tr><th>setting</th>" + "".join(f"<th>{esc(name)}</th>" for name in names) + "</tr>"
    rows = "".join(
        f"<tr><th scope='row'>{esc(name)}</th>"
        + "".join(f"<td>{esc(written(table.get(name, '-')))}</td>" for table in tables)
        + "</tr>"
        for name in differ
    )
    shared = "".join(f"<div><dt>{esc(name)}</dt><dd>{esc(written(tables[0][name]))}</dd></div>" for name in same)
    first = (
        f"<div class='wide'><table class='plain'><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
        if differ
        else "<p>None: all settings are the same.</p>"
    )
    return f"<h3>Settings that differ</h3>{first}<h3>Settings that all of them share</h3><dl class='facts settings'>{shared}</dl>"


def _preset(run: ev.Run) -> dict[str, Any]:
    known = run.preset if run.preset in presets.PRESETS else presets.DEFAULT
    return {name: value for name, _, value in cfg.walk(presets.build(known, run.method))}


def history(store: Store, run: ev.Run) -> str:
    """Everything that happened to a run, oldest first; of very many the first and the last."""
    found = store.events(run.id)
    rows = [
        f"<tr><td>{esc(clock(e.time))}</td><td class='n'>{e.step:,}</td><td>{esc(e.kind)}</td><td>{esc(plain(e.data))}</td></tr>"
        for e in found
    ]
    if len(rows) > 60:
        rows = [*rows[:30], f"<tr><td colspan='4'>… {len(rows) - 60:,} more …</td></tr>", *rows[-30:]]
    head = "<tr><th>time</th><th class='n'>step</th><th>event</th><th></th></tr>"
    return f"<div class='wide'><table class='plain'><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"


def words(run: ev.Run) -> str:
    """What was typed about the run, what the data had to say, and the error of a failed one."""
    parts = [f"<div class='note'><h3>Note</h3><p class='typed'>{esc(run.note)}</p></div>"] if run.note.strip() else []
    if notes := run.summary.get("notes"):
        parts.append("<div class='faint'><p>" + "<br>".join(esc(note) for note in notes) + "</p></div>")
    if run.error.strip():
        parts.append(f"<div class='error'><h3>Why it ended</h3><pre>{esc(run.error.rstrip())}</pre></div>")
    return "".join(parts)
