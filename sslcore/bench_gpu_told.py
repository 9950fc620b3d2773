"""What the GPU bench found, as a table, and kept: how many runs at once are best on a card."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from sslcore.config import METHOD_NAMES
from sslcore.data.cache import data_root
from sslcore.files import write_atomically

SAVED = "bench-gpu.json"  # in the cache folder
Row = dict[str, Any]


def best_at_once(found: dict[str, Any]) -> dict[str, int]:
    """Return for each method how many runs at once trained most steps a second; a gain below 5 % doesn't count."""
    best: dict[str, int] = {}
    speed: dict[str, float] = {}
    for row in found.get("at_once", []):
        if row.get("steps_per_s", 0.0) > 1.05 * speed.get(row["method"], 0.0):
            best[row["method"]], speed[row["method"]] = row["runs"], row["steps_per_s"]
    return best


def saved(best: dict[str, int], name: str) -> None:
    """Keep how many runs at once are best on a card, for `sweep --parallel auto`; a folder that can't be written is no error."""
    if not best:
        return
    with contextlib.suppress(OSError):
        data_root().mkdir(parents=True, exist_ok=True)
        path = data_root() / SAVED
        write_atomically(path, lambda temp: temp.write_text(json.dumps({name: best})))


def known_best(name: str) -> dict[str, int]:
    """Return what `saved` kept of a card, method -> runs at once; nothing where it was never measured."""
    try:
        found = json.loads((data_root() / SAVED).read_text())[name]
        return {
            method: int(count) for method, count in found.items() if method in METHOD_NAMES and 1 <= int(count) <= 64
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


def table(found: dict[str, Any]) -> str:
    """Return the bench as text."""
    lines = [f"{found['device_name']}, torch {found['torch']}, data: {found['data']}"]
    if "ceilings" in found:
        peak, copy = found["ceilings"]["bf16_flops_per_s"], found["ceilings"]["copy_bytes_per_s"]
        lines.append(f"bf16 matrix product {peak / 1e12:,.0f} TFLOP/s, copy {copy / 1e12:.2f} TB/s")
    for row in found.get("equality", []):
        verdict = "equals" if row["equal"] else "DIFFERS from"
        lines.append(
            f"{row['method']}: the captured step {verdict} the plain one, largest relative difference of the loss in {row['steps']} steps "
            f"{row['largest_relative_difference']:.1e}"
        )
    titles = {"methods": "by default", "variants": "precision, graph", "compiled": "compiled"}
    for name, title in titles.items():
        if name in found:
            lines += [
                "",
                f"{title:20}{'images':>8}{'ms/step':>10}{'images/s':>12}{'host ms':>9}{'GiB':>7}{'first s':>9}  h/2^20  peak  copy",
            ]
            lines += [_line(row) for row in found[name]]
    if "augmentation" in found:
        row = found["augmentation"]
        share = f", {row['share_of_the_step']:.1%} of the step" if "share_of_the_step" in row else ""
        lines += ["", (
            f"augmentation of a FixMatch step: {row['all_seconds'] * 1e3:.2f} ms{share} (weak view {row['weak_seconds'] * 1e3:.2f}, "
            f"strong view {row['strong_seconds'] * 1e3:.2f}, the same with every operation on every image {row['selected_seconds'] * 1e3:.2f} ms)"
        )]  # fmt: skip
    for row in found.get("evaluation", []):
        lines.append(f"evaluation of {row['images']:,} images in {row['precision']}: {row['seconds'] * 1e3:.1f} ms")
    for row in found.get("at_once", []):
        if "gain" in row:
            lines.append(
                f"{row['runs']} x {row['method']:12}{row['steps_per_s']:10.1f} steps/s{row['images_per_s']:12,.0f} images/s  {row['gain']:.2f} x one alone"
                f"{'  ' + row['told'] if row['told'] else ''}"
            )
        else:
            lines.append(f"{row['runs']} x {row['method']:12}{row['told']}")
    lines += [f"{name}: not measured: {told}" for name, told in found["errors"].items()]
    lines.append(f"own kernels: {found['kernels']}; in {found['seconds']['all']:.0f} s")
    return "\n".join(lines)


def _line(row: Row) -> str:
    name = (
        f"{row['method']} {row['precision']}"
        + ("" if row["graph"] else " eager")
        + ("" if row.get("kernels", True) else " torch")
    )
    memory = row.get("peak_memory_bytes", 0) / 2**30
    shares = "".join(f"{row[key]:6.1%}" for key in ("share_of_bf16_peak", "share_of_copy_bandwidth") if key in row)
    return (
        f"{name:20}{row['images_per_step']:8}{row['seconds_per_step'] * 1e3:10.2f}{row['images_per_s']:12,.0f}"
        f"{row['host_seconds_per_step'] * 1e3:9.2f}{memory:7.2f}{row['first_step_seconds']:9.1f}{row['hours_for_2^20_steps']:8.2f}{shares}"
    )
