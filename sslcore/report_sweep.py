"""A sweep as one HTML page: the curve, its numbers, what is read off it, classes compared, and every run. No torch.

Names of classes and data come from people: everything is escaped where it enters the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sslcore import curve, per_class, published, sweep
from sslcore import events as ev
from sslcore.curve import Point
from sslcore.palette import METHOD_COLORS, METHOD_DASHES
from sslcore.report import page
from sslcore.report_charts import esc, percent
from sslcore.report_parts import METHODS, duration
from sslcore.svg import Line, sample
from sslcore.svg_curve import chart
from sslcore.sweep import Cell, Plan

GOALS = (0.8, 0.9, 0.95)  # accuracies whose smallest count is told
NOTHING = np.zeros(0)
BASELINE = "supervised"


def html(root: Path, plan: Plan, found: Mapping[str, ev.Run], groups: Sequence[str] | None = None) -> str:
    """Return the report of what has come of a plan so far. `groups`: published numbers to draw, by default those of the same images."""
    grid = sweep.cells(plan)
    config = grid[0].config
    if groups is None:
        groups = tuple(published.GROUPS) if config.data.source == published.DATA else ()
    points = curve.points(grid, found)
    beside = published.series(groups, plan.methods)
    title = next((run.summary["title"] for run in found.values() if run.summary.get("title")), config.data.source)
    done = [run for run in found.values() if run.state == ev.FINISHED]
    share = f", {published.budget(config)}" if published.budget(config) else ""
    lead = (
        f"{title}; {config.train.steps:,} optimizer steps per run{share}; seeds {sweep.span(plan.seeds)}; {len(done):,} of {len(grid):,} runs "
        "finished. Last test accuracy of the averaged weights (EMA). The same seed gives every method the same labelled images, and smaller sets "
        "lie inside larger ones."
    )
    alt = f"Test accuracy of {', '.join(METHODS[m] for m in plan.methods)} over the number of labelled images"
    caveats = "".join(f"<li>{esc(words)}</li>" for words in published.caveats(beside, config))
    return page(
        f"Label curves: {title}",
        f"<header><h1>How many labels are enough?</h1><p class='lead'>{esc(lead)}</p></header>"
        f"<figure>{_legend(plan, beside)}{chart(points, beside, alt)}<p>Points: means over the seeds; bars: one standard deviation. "
        f"{'Crosses: published numbers.' if beside else ''}</p></figure>"
        + (f"<div class='note'><p>These budgets differ:</p><ul>{caveats}</ul></div>" if caveats else "")
        + f"<h2>Numbers</h2>{_means(points, plan)}<h2>What labels are worth</h2>{_worth(points, plan)}"
        f"{_classes(root, plan, grid, found)}{_sources(beside)}"
        f"<h2>Reproduce it</h2><pre class='command'>{esc(sweep.command(plan))}</pre>"
        "<p class='faint'>Finished runs are used again; missing ones are trained.</p>"
        f"<h2>Every run</h2>{_runs(grid, found)}",
    )


def _legend(plan: Plan, beside: Sequence[published.Series]) -> str:
    items = "".join(
        f"<li>{sample(Line(NOTHING, NOTHING, '', METHOD_COLORS[m], METHOD_DASHES[m]))} {esc(METHODS[m])}</li>" for m in plan.methods
    )  # fmt: skip
    groups = ", ".join(published.GROUPS[group].lower() for group in dict.fromkeys(one.group for one in beside))
    return f"<ul class='legend'>{items}{f'<li>x {esc(groups)}</li>' if beside else ''}</ul>"


def _means(points: Sequence[Point], plan: Plan) -> str:
    by_place = {(point.method, point.labels): point for point in points}
    head = "".join(f"<th>{esc(METHODS[m])}</th>" for m in plan.methods)
    rows = ""
    for labels in plan.labels:
        cells = "".join(f"<td>{esc(told(by_place.get((m, labels))))}</td>" for m in plan.methods)
        rows += f"<tr><th scope='row'>{labels:,}</th>{cells}</tr>"
    mine = [curve.of_method(points, m) for m in plan.methods]
    costs = ""
    for name, each in (("images per run", "images"), ("training per run", "seconds")):
        cells = ""
        for found in mine:
            value = curve.mean_cost(found, each)
            cells += f"<td>{'-' if value is None else duration(value) if each == 'seconds' else f'{value:,.0f}'}</td>"
        costs += f"<tr><th scope='row'>{name}</th>{cells}</tr>"
    return (
        "<p class='faint'>Mean, standard deviation over the seeds, number of seeds, lowest and highest. Equal steps; "
        "images and time differ.</p><div class='wide'><table class='plain'>"
        f"<thead><tr><th>labels</th>{head}</tr></thead><tbody>{rows}{costs}</tbody></table></div>"
    )


def told(point: Point | None) -> str:
    """Write a point with what it must be told with."""
    if point is None:
        return "-"
    spread = "" if point.sd is None else f" +- {100 * point.sd:.1f}"
    ends = "" if point.n == 1 else f", {100 * min(point.values):.1f} to {percent(max(point.values))}"
    return f"{100 * point.mean:.1f}{spread} % (n {point.n}{ends})"


def _worth(points: Sequence[Point], plan: Plan) -> str:
    """The equal counts of every method against the baseline, and the smallest count for some accuracies."""
    base = curve.of_method(points, BASELINE)
    lines = []
    for point in points:
        reading = curve.equal(base, point) if point.method != BASELINE else None
        if reading:
            best, fewest, most = reading
            sure = (
                f"{curve.between(fewest, most)}, one standard error either way"
                if point.n > 1
                else "one seed: its uncertainty isn't known"
            )
            head = f"{METHODS[point.method]} with {point.labels:,} labels = {METHODS[BASELINE]} with {best}"
            lines.append(f"<li>{esc(head)} <span class='faint'>({esc(sure)})</span></li>")
    head = "".join(f"<th>{100 * goal:.0f} %</th>" for goal in GOALS)
    rows = ""
    for method in plan.methods:
        mine = curve.of_method(points, method)
        cells = "".join(f"<td>{esc(_needed(mine, goal))}</td>" for goal in GOALS)
        rows += f"<tr><th scope='row'>{esc(METHODS[method])}</th>{cells}</tr>"
    return (
        (f"<ul>{''.join(lines)}</ul>" if lines else "")
        + "<p class='faint'>The smallest number of labels that reaches an accuracy; in brackets, with several seeds, the curve one standard "
        "error higher and lower. Accuracy is taken to be linear in the logarithm of the count between measured points; outside them nothing "
        "is claimed."
        f"</p><div class='wide'><table class='plain'><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _needed(mine: Sequence[Point], goal: float) -> str:
    reading = curve.needed(mine, goal)
    if reading is None:
        return "-"
    best, fewest, most = reading
    ends = curve.between(fewest, most)
    return f"{best} ({ends})" if min(point.n for point in mine) > 1 and ends != str(best) else str(best)


def _classes(root: Path, plan: Plan, grid: Sequence[Cell], found: Mapping[str, ev.Run]) -> str:
    """Recall of the last method minus that of the first, class by class, at the smallest count."""
    first, second = plan.methods[-1], plan.methods[0]
    labels = min(plan.labels)
    differences = per_class.paired(root, grid, found, first, second, labels) if first != second else []
    if not differences:
        return ""
    rows = ""
    for one in sorted(differences, key=lambda one: -one.mean):
        sd = "-" if one.sd is None else f"{100 * one.sd:.1f}"
        rows += f"<tr><th scope='row'>{esc(one.name)}</th><td class='n'>{per_class.signed(one.mean)}</td><td class='n'>{sd}</td></tr>"
    n = len(differences[0].values)
    return (
        f"<h2>By class: {esc(METHODS[first])} minus {esc(METHODS[second])}, {labels:,} labels</h2>"
        f"<p class='faint'>Recall in points, paired within each seed; n {n}.</p><table class='plain'><thead><tr><th>class</th><th class='n'>mean</th>"
        f"<th class='n'>sd</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _sources(beside: Sequence[published.Series]) -> str:
    rows = ""
    for one in beside:
        cells = f"<td>{esc(one.source)}</td><td class='n'>{one.steps:,}</td><td>{esc(one.told)}</td>"
        rows += f"<tr><th scope='row'>{esc(METHODS[one.method])}</th>{cells}</tr>"
    head = "<tr><th>method</th><th>source</th><th class='n'>steps</th><th></th></tr>"
    return (
        f"<h2>Published numbers</h2><div class='wide'><table class='plain'><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
        if rows
        else ""
    )


def _runs(grid: Sequence[Cell], found: Mapping[str, ev.Run]) -> str:
    rows = ""
    for cell in grid:
        run = found.get(cell.key)
        cells: list[object] = [METHODS[cell.method], f"{cell.labels:,}", cell.seed, run.state if run else sweep.MISSING]
        if run:
            cells += [percent(run.summary.get("test_accuracy"), 2), f"{run.step:,}", duration(run.seconds), run.id]
        else:
            cells += ["-", "-", "-", ""]
        rows += "<tr>" + "".join(f"<td>{esc(value)}</td>" for value in cells) + "</tr>"
    head = "".join(
        f"<th>{name}</th>" for name in ("method", "labels", "seed", "state", "test, EMA", "steps", "time", "run")
    )
    return (
        f"<div class='wide'><table class='plain runs'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
