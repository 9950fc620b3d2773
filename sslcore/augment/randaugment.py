"""RandAugment and cutout, as FixMatch uses them: chance in `draw_strong`, arithmetic in `apply_strong`.

N operations are drawn for each image, uniformly and with replacement, each with its own magnitude and sign and each
applied with probability p; then one square is cut out (arXiv:2001.07685, 2.3 and appendix). Three ways through the
arithmetic give the same bytes: on a CPU the images are grouped by operation and each operation sees only its own
images; an NVIDIA GPU has a kernel for it (`strong_kernel.py`); elsewhere every image passes through everything with
neutral values. The latter two have no shape that depends on the data and never wait for the device, so they fit in a
CUDA graph (after one call outside, which makes the constants).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from sslcore.augment.blends import blend, enhance, luma, mean_grey, smooth
from sslcore.augment.levels import autocontrast_tables, equalize_tables, level_rows, look_up, posterize, remap, solarize
from sslcore.augment.magnitudes import FILLS, PRESETS, Range, legal, magnitude_at
from sslcore.augment.moves import MOVE_NAMES, inverse_maps, warp
from sslcore.augment.numbers import LEVELS
from sslcore.augment.ops import BLENDS, IDENTITY, MOVES, NO_CHANGE, OP_NAMES, OPS, POSTERIZE, REMAPS, SOLARIZE
from sslcore.augment.strong_kernel import apply_in_shared_memory, fits
from sslcore.config import AugmentConfig

_COLUMNS = 5  # columns of the magnitude table before the values


class StrongDraw(NamedTuple):
    """All chance in the strong views of B images with N operations each."""

    op: Tensor  # (B, N) int64, position in OP_NAMES
    value: Tensor  # (B, N) float32, what the operation takes: factor, bits, threshold, degrees, slope or pixels
    applied: Tensor  # (B, N) bool; where False the operation is skipped
    box: Tensor  # (B, 4) int64, cutout as y0 x0 y1 x1, the ends excluded, clipped to the frame


def draw_strong(
    batch: int, height: int, width: int, config: AugmentConfig, generator: torch.Generator, device: torch.device | str
) -> StrongDraw:
    """Draw the strong views of a batch; the generator must live on `device`. Preset `off` draws N = 0 and no cutout."""
    device = torch.device(device)
    preset = PRESETS.get(config.preset)
    if preset is None:
        nothing, no_box = torch.zeros(batch, 0, device=device), torch.zeros(batch, 4, dtype=torch.int64, device=device)
        return StrongDraw(nothing.long(), nothing, nothing.bool(), no_box)
    num_ops = preset.num_ops if config.num_ops is None else config.num_ops
    op_prob = preset.op_prob if config.op_prob is None else config.op_prob

    # One call for all numbers. For a whole n, u * n < n also after rounding, so its floor is in 0 .. n - 1.
    uniform = torch.rand(batch, 4 * num_ops + 2, generator=generator, device=device)
    u_op, u_value, u_sign, u_applied = uniform[:, 2:].reshape(batch, 4, num_ops).unbind(1)
    op = (u_op * len(OPS)).long()
    table = _magnitude_table(config, height, width, device)
    rows = table.index_select(0, op.reshape(-1)).view(batch, num_ops, table.shape[1])
    signed, low, high, span, count = rows[..., :_COLUMNS].unbind(-1)
    step = (u_value * count).long().add_(_COLUMNS)
    value = rows.gather(2, step.unsqueeze(-1)).squeeze(-1).add_(span * u_value)
    value = value.clamp(low, high).mul_(torch.where(u_sign < 0.5, 1.0 - 2.0 * signed, 1.0))

    side = int(config.cutout * min(height, width) + 0.5)
    box = _draw_box(uniform[:, :2], side, height, width, preset.cutout_inclusive)
    return StrongDraw(op, value, u_applied < op_prob, box)


@functools.cache  # a captured step reads its table as long as it lives, whatever others were asked for since
def _magnitude_table(config: AugmentConfig, height: int, width: int, device: torch.device) -> Tensor:
    """Return (14, 5 + most values) float32: signed, low and high bound, span, number of values, then the values.

    A magnitude is the value number floor(u * count) plus span * u: a range is one value, its lower end, and a span.
    Kept, because copying constants to a GPU waits for it and can't be captured in a graph.
    """
    preset = PRESETS[config.preset]
    rows: list[list[float]] = []
    for name in OP_NAMES:
        magnitude = magnitude_at(preset, name, config.strength, height, width)
        bounds = legal(name, height, width)
        span = magnitude.high - magnitude.low if isinstance(magnitude, Range) else 0.0
        values = (magnitude.low,) if isinstance(magnitude, Range) else magnitude.values
        rows.append([float(name in MOVE_NAMES), bounds.low, bounds.high, span, float(len(values)), *values])
    longest = max(map(len, rows))
    return torch.tensor([row + [0.0] * (longest - len(row)) for row in rows], device=device)


def _draw_box(uniform: Tensor, side: int, height: int, width: int, inclusive: bool) -> Tensor:
    """Turn uniform numbers (B, 2) into squares of `side` pixels around a random pixel, (B, 4) int64, clipped."""
    if side == 0:
        return torch.zeros(len(uniform), 4, dtype=torch.int64, device=uniform.device)
    edges = []
    for axis, size in ((0, height), (1, width)):
        if inclusive:  # clipped before the far edge is placed: whole at the top and left, one pixel more elsewhere
            near = (uniform[:, axis] * size - side / 2).clamp(min=0.0).long()
            far = near + side + 1
        else:
            near = (uniform[:, axis] * size).long() - side // 2
            far = near + side
        edges.append((near.clamp(min=0), far.clamp(max=size)))
    (top, bottom), (left, right) = edges
    return torch.stack((top, left, bottom, right), dim=1)


def apply_strong(images: Tensor, draw: StrongDraw, config: AugmentConfig) -> Tensor:
    """Return the strong views of (weak) images: uint8 (B, H, W, C) in and out, C = 1 or 3."""
    preset = PRESETS.get(config.preset)
    if preset is None:
        return images
    frame_fill = preset.frame_fill if config.fill is None else FILLS[config.fill]
    cutout_fill = preset.cutout_fill if config.fill is None else FILLS[config.fill]
    if fits(images):
        return apply_in_shared_memory(images, draw, frame_fill, cutout_fill)
    apply_ops = apply_grouped if images.device.type == "cpu" else apply_selected
    return cut_out(apply_ops(images, draw, frame_fill), draw.box, cutout_fill)


def apply_grouped(images: Tensor, draw: StrongDraw, fill: int) -> Tensor:
    """Apply the drawn operations, each to its own images. Reads the group sizes on the host: for the CPU."""
    layers = draw.op.shape[1]
    if layers == 0 or len(images) == 0:
        return images
    op, order = torch.where(draw.applied, draw.op, IDENTITY).t().sort(dim=1)  # (N, B), images of one operation adjacent
    place = order.argsort(dim=1)  # where image i lies in each layer's order
    value = draw.value.t().gather(1, order)
    maps = _inverse_maps(op, value, images)
    layer_of = torch.arange(layers)[:, None] * len(OPS)
    all_sizes = torch.bincount((op + layer_of).reshape(-1), minlength=layers * len(OPS)).view(layers, -1).tolist()
    images = images.index_select(0, order[0])
    for layer, sizes in enumerate(all_sizes):
        if layer:
            images = images.index_select(0, place[layer - 1].index_select(0, order[layer]))
        # Remaps, blends and moves share work among themselves: one group each.
        remaps, blends, moves = sizes[REMAPS], sizes[BLENDS], sizes[MOVES]
        groups = [sizes[IDENTITY], sum(remaps), sizes[POSTERIZE], sizes[SOLARIZE], sum(blends), sum(moves)]
        same, remapped, posterized, solarized, blended, moved = images.split(groups)
        _, _, bits, threshold, factor, _ = value[layer].split(groups)
        done = [same]
        if len(remapped):
            done.append(remap(remapped, remaps))
        if len(posterized):
            done.append(posterize(posterized, bits, fill))
        if len(solarized):
            done.append(solarize(solarized, threshold, fill))
        if len(blended):
            done.append(enhance(blended, factor, blends))
        if len(moved):
            done.append(warp(moved, maps[:, layer, len(images) - len(moved) :], fill))
        images = torch.cat(done)
    return images.index_select(0, place[-1])


def apply_selected(images: Tensor, draw: StrongDraw, fill: int) -> Tensor:
    """Apply the drawn operations, every one to every image, with values that change nothing where it wasn't drawn."""
    ops = torch.where(draw.applied, draw.op, IDENTITY).t()
    maps = _inverse_maps(ops, draw.value.t(), images)
    for layer, op in enumerate(ops):
        value = draw.value[:, layer]
        autocontrast, equalize, color, contrast, sharpness = (
            (op == OP_NAMES.index(name)).view(-1, 1, 1, 1)
            for name in ("AutoContrast", "Equalize", "Color", "Contrast", "Sharpness")
        )
        images = warp(images, maps[:, layer], fill)
        images = posterize(images, torch.where(op == POSTERIZE, value, NO_CHANGE["Posterize"]), fill)
        images = solarize(images, torch.where(op == SOLARIZE, value, NO_CHANGE["Solarize"]), fill)
        channels = images.shape[3]
        levels, entries = level_rows(images)
        levels_as_they_are = torch.arange(LEVELS, device=op.device, dtype=torch.uint8)
        tables = torch.where(equalize[..., 0], equalize_tables(entries, channels), levels_as_they_are)
        tables = torch.where(autocontrast[..., 0], autocontrast_tables(levels, channels), tables)
        images = look_up(tables, entries).view_as(images)
        pixels = images.float()
        grey = luma(pixels)
        degenerate = torch.where(color, grey, torch.where(contrast, mean_grey(grey), 0.0))
        degenerate = torch.where(sharpness, smooth(pixels), degenerate)
        factor = torch.where((op >= BLENDS.start) & (op < BLENDS.stop), value, 1.0)
        images = blend(pixels, degenerate, factor)
    return images


def _inverse_maps(op: Tensor, value: Tensor, images: Tensor) -> Tensor:
    """Return the coefficients of the moves for all layers at once, (6, N, B); where another op is drawn no change."""
    moves = torch.arange(MOVES.start, MOVES.stop, device=op.device)[:, None, None]
    return inverse_maps(torch.where(op == moves, value, 0.0), images.shape[1], images.shape[2])


def cut_out(images: Tensor, box: Tensor, fill: int) -> Tensor:
    """Paint each image's box (B, 4), y0 x0 y1 x1 with the ends excluded, in the grey level `fill`."""
    batch, height, width, channels = images.shape
    top, left, bottom, right = box.to(torch.int32).unsqueeze(-1).unbind(1)  # each (B, 1)
    y = torch.arange(height, device=images.device, dtype=torch.int32)
    x = torch.arange(width, device=images.device, dtype=torch.int32)
    # Bit masks, 0 or 255: on a CPU ten times as fast as a fill under a boolean mask.
    rows = ((y >= top) & (y < bottom)).to(torch.uint8).mul_(255)
    columns = ((x >= left) & (x < right)).to(torch.uint8).mul_(255).repeat_interleave(channels, dim=1)
    inside = rows[:, :, None] & columns[:, None, :]  # (B, H, W*C)
    painted = (images.reshape(batch, height, width * channels) & ~inside).bitwise_or_(inside & fill)
    return painted.view_as(images)
