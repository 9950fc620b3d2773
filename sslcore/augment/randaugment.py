"""RandAugment and cutout, as FixMatch uses them: chance in `draw_strong`, arithmetic in `apply_strong`.

N operations are drawn for each image, uniformly and with replacement, each with its own magnitude and sign and each
applied with probability p; then one square is cut out (arXiv:2001.07685, 2.3 and appendix). Two ways through the
arithmetic give the same bytes: on a CPU the images are grouped by operation and each operation sees only its own
images; elsewhere every image passes through everything with neutral values, without a shape that depends on the data
or a wait for the device, so that it fits in a CUDA graph (after one call outside, which makes the constants).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from sslcore.augment.affine import AFFINE_NAMES, warp
from sslcore.augment.colour import autocontrast, blend, equalize, luma, mean_grey, posterize, smooth, solarize
from sslcore.augment.magnitudes import FILLS, PRESETS, Range, legal, magnitude_at
from sslcore.augment.ops import FIRST_AFFINE, NO_CHANGE, OP_NAMES, OPS
from sslcore.config import AugmentConfig


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
        nothing = torch.zeros(batch, 0, device=device)
        return StrongDraw(nothing.long(), nothing, nothing.bool(), torch.zeros(batch, 4, dtype=torch.int64, device=device))
    num_ops = preset.num_ops if config.num_ops is None else config.num_ops
    op_prob = preset.op_prob if config.op_prob is None else config.op_prob

    # One call for all numbers. For a whole n, u * n < n also after rounding, so its floor is in 0 .. n - 1.
    uniform = torch.rand(batch, 4 * num_ops + 2, generator=generator, device=device)
    u_op, u_value, u_sign, u_applied = uniform[:, 2:].reshape(batch, 4, num_ops).unbind(1)
    op = (u_op * len(OPS)).long()
    rows = _magnitude_table(config, height, width, device).index_select(0, op.reshape(-1)).view(batch, num_ops, -1)
    signed, low, high, span, count = rows[..., :_COLUMNS].unbind(-1)
    step = (u_value * count).long().add_(_COLUMNS)
    value = rows.gather(2, step.unsqueeze(-1)).squeeze(-1).add_(span * u_value)
    value = value.clamp(low, high).mul_(torch.where(u_sign < 0.5, 1.0 - 2.0 * signed, 1.0))

    side = int(config.cutout * min(height, width) + 0.5)
    return StrongDraw(op, value, u_applied < op_prob, _draw_box(uniform[:, :2], side, height, width, preset.cutout_inclusive))


_COLUMNS = 5  # columns of the table before the values


@functools.lru_cache(maxsize=64)
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
        if isinstance(magnitude, Range):
            span, values = magnitude.high - magnitude.low, (magnitude.low,)
        else:
            span, values = 0.0, magnitude.values
        rows.append([float(name in AFFINE_NAMES), bounds.low, bounds.high, span, float(len(values)), *values])
    longest = max(map(len, rows))
    return torch.tensor([row + [0.0] * (longest - len(row)) for row in rows], device=device)


def _draw_box(uniform: Tensor, side: int, height: int, width: int, inclusive: bool) -> Tensor:
    """Turn uniform numbers (B, 2) into squares of `side` pixels around a random pixel, (B, 4) int64, clipped."""
    if side == 0:
        return torch.zeros(len(uniform), 4, dtype=torch.int64, device=uniform.device)
    edges = []
    for axis, size in ((0, height), (1, width)):
        if inclusive:  # clipped before the far edge is placed: no shrinking at the top and left, one pixel more elsewhere
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
    apply_ops = apply_grouped if images.device.type == "cpu" else apply_selected
    return cut_out(apply_ops(images, draw, frame_fill), draw.box, cutout_fill)


def apply_grouped(images: Tensor, draw: StrongDraw, fill: int) -> Tensor:
    """Apply the drawn operations, each to its own images. Reads the group sizes on the host: for the CPU."""
    ops = torch.where(draw.applied, draw.op, OP_NAMES.index("Identity"))
    for layer in range(draw.op.shape[1]):
        op, order = ops[:, layer].sort()
        value = draw.value[:, layer].index_select(0, order)
        images = images.index_select(0, order)
        sizes = torch.bincount(op, minlength=len(OPS)).tolist()
        sizes[FIRST_AFFINE:] = [sum(sizes[FIRST_AFFINE:])]  # all moves in one gather
        start = 0
        for name, size in zip(OP_NAMES, sizes, strict=False):
            part = slice(start, start + size)
            if size and name in AFFINE_NAMES:
                images[part] = warp(images[part], _affine_amounts(op[part], value[part]), fill)
            elif size and name != "Identity":
                images[part] = OPS[name](images[part], value[part], fill)
            start += size
        images = images.index_select(0, order.argsort())
    return images


def apply_selected(images: Tensor, draw: StrongDraw, fill: int) -> Tensor:
    """Apply the drawn operations, every one to every image, with values that change nothing where it wasn't drawn."""
    ops = torch.where(draw.applied, draw.op, OP_NAMES.index("Identity"))
    for layer in range(draw.op.shape[1]):
        op, value = ops[:, layer], draw.value[:, layer]
        drawn = {name: op == index for index, name in enumerate(OP_NAMES)}
        column = {name: mask[:, None, None, None] for name, mask in drawn.items()}
        images = warp(images, _affine_amounts(op, value), fill)
        images = posterize(images, torch.where(drawn["Posterize"], value, NO_CHANGE["Posterize"]), fill)
        images = solarize(images, torch.where(drawn["Solarize"], value, NO_CHANGE["Solarize"]), fill)
        images = torch.where(column["AutoContrast"], autocontrast(images, value, fill), images)
        images = torch.where(column["Equalize"], equalize(images, value, fill), images)
        pixels, grey = images.float(), luma(images)
        degenerate = torch.where(column["Color"], grey.float(), torch.where(column["Contrast"], mean_grey(grey), 0.0))
        degenerate = torch.where(column["Sharpness"], smooth(pixels), degenerate)
        blended = drawn["Brightness"] | drawn["Color"] | drawn["Contrast"] | drawn["Sharpness"]
        images = blend(pixels, degenerate, torch.where(blended, value, 1.0))  # by 1 nothing changes
    return images


def _affine_amounts(op: Tensor, value: Tensor) -> Tensor:
    """Return (5, B) float32: each image's value in the row of its move, nothing elsewhere."""
    moves = torch.arange(FIRST_AFFINE, len(OPS), device=op.device)[:, None]
    return torch.where(op == moves, value, 0.0)


def cut_out(images: Tensor, box: Tensor, fill: int) -> Tensor:
    """Paint each image's box (B, 4), y0 x0 y1 x1 with the ends excluded, in the grey level `fill`."""
    batch, height, width, channels = images.shape
    top, left, bottom, right = box.to(torch.int32).unsqueeze(-1).unbind(1)  # each (B, 1)
    y = torch.arange(height, device=images.device, dtype=torch.int32)
    x = torch.arange(width, device=images.device, dtype=torch.int32).repeat_interleave(channels)
    # Bit masks, 0 or 255: on a CPU ten times as fast as a fill under a boolean mask.
    rows = ((y >= top) & (y < bottom)).to(torch.uint8).mul_(255)
    columns = ((x >= left) & (x < right)).to(torch.uint8).mul_(255)
    inside = rows[:, :, None] & columns[:, None, :]  # (B, H, W*C)
    painted = (images.reshape(batch, height, width * channels) & ~inside).bitwise_or_(inside & fill)
    return painted.view_as(images)
