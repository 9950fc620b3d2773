"""RandAugment and cutout: the presets' columns, the draws' frequencies, and both ways through the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sslcore.augment.magnitudes import PRESETS, Range, legal, magnitude_at
from sslcore.augment.moves import MOVE_NAMES
from sslcore.augment.ops import OP_NAMES
from sslcore.augment.pillow_twin import pillow_strong
from sslcore.augment.randaugment import (
    StrongDraw,
    apply_grouped,
    apply_selected,
    apply_strong,
    cut_out,
    draw_strong,
)
from sslcore.augment.views import normalize, strong_view, weak_view
from sslcore.augment.weak import WeakDraw, apply_weak, draw_weak
from sslcore.config import AugmentConfig
from tests import reference_augment
from tests.reference_augment import assert_equals_pillow, assert_frequencies, pictures


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


ENHANCE = ("Brightness", "Color", "Contrast", "Sharpness")
NINTHS = range(1, 10)


def draw(config: AugmentConfig, batch: int = 20_000, size: int = 32, seed: int = 0) -> StrongDraw:
    return draw_strong(batch, size, size, config, torch.Generator().manual_seed(seed), "cpu")


def values_of(drawn: StrongDraw, name: str) -> Tensor:
    return drawn.value[drawn.op == OP_NAMES.index(name)]


def _each(steps: list[float]) -> dict[str, list[float]]:
    return dict.fromkeys(ENHANCE, steps)


# The columns of the table in the papers' and codes' own numbers, at 32 x 32.
STEPS: dict[str, dict[str, list[float]]] = {
    "paper": {"Posterize": [4, 5, 6, 7, 8]},
    "google": {
        **_each([0.28, 0.46, 0.64, 0.82, 1.0, 1.18, 1.36, 1.54, 1.72]),
        "Posterize": [4, 4, 3, 3, 2, 2, 2, 1, 1],
        "Rotate": [3, 6, 9, 12, 15, 18, 21, 24, 27],
        "ShearX": [0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24, 0.27],
        "ShearY": [0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24, 0.27],
        "Solarize": [231, 205, 180, 154, 128, 103, 77, 52, 26],
        "TranslateX": [1, 2, 3, 4, 5, 6, 7, 8, 9],
        "TranslateY": [1, 2, 3, 4, 5, 6, 7, 8, 9],
    },
    "kekmodel": {
        **_each([0.14, 0.23, 0.32, 0.41, 0.5, 0.59, 0.68, 0.77, 0.86]),
        "Posterize": [4, 4, 5, 5, 6, 6, 6, 7, 7],
        "Rotate": [3, 6, 9, 12, 15, 18, 21, 24, 27],
        "ShearX": [0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24, 0.27],
        "ShearY": [0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24, 0.27],
        "Solarize": [231, 205, 180, 154, 128, 103, 77, 52, 26],
        "TranslateX": [0, 1, 2, 3, 4, 5, 6, 7, 8],
        "TranslateY": [0, 1, 2, 3, 4, 5, 6, 7, 8],
    },
}
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(ENHANCE, (0.05, 0.95)),
    "Rotate": (-30.0, 30.0),
    "ShearX": (-0.3, 0.3),
    "ShearY": (-0.3, 0.3),
    "Solarize": (0.0, 256.0),
    "TranslateX": (-9.6, 9.6),
    "TranslateY": (-9.6, 9.6),
}


@pytest.mark.parametrize("preset", STEPS)
def test_steps_are_those_of_the_table_and_equally_likely(preset: str) -> None:
    drawn = draw(AugmentConfig(preset=preset))
    for name, steps in STEPS[preset].items():
        values = values_of(drawn, name).double()
        levels, shares = torch.tensor(steps, dtype=torch.float64).unique(return_counts=True)
        nearest = (values.abs()[:, None] - levels).abs().min(dim=1)
        assert float(nearest.values.max()) < 1e-5, name
        assert_frequencies(torch.bincount(nearest.indices, minlength=len(levels)), shares.tolist())
        moved = values[values != 0]
        if name in MOVE_NAMES:
            assert_frequencies([int((moved > 0).sum()), int((moved < 0).sum())])
        else:
            assert bool((values > 0).all())


def test_the_papers_ranges_are_drawn_evenly() -> None:
    drawn = draw(AugmentConfig(preset="paper"), 40_000)
    for name, (low, high) in RANGES.items():
        share = (values_of(drawn, name).double() - low) / (high - low)
        assert 0 <= float(share.min()) < 0.005 and 0.995 < float(share.max()) <= 1 + 1e-6, name
        assert_frequencies(torch.bincount((share * 20).long().clamp(max=19), minlength=20))


@pytest.mark.parametrize(("preset", "prob"), [("paper", 1.0), ("google", 0.5), ("kekmodel", 0.5)])
def test_two_operations_each_uniform_and_applied_with_the_presets_chance(preset: str, prob: float) -> None:
    drawn = draw(AugmentConfig(preset=preset))
    assert drawn.op.shape == drawn.value.shape == drawn.applied.shape == (20_000, 2)
    for layer in range(2):
        assert_frequencies(torch.bincount(drawn.op[:, layer], minlength=14))
    assert_frequencies(torch.bincount(drawn.op[:, 0] * 14 + drawn.op[:, 1], minlength=196))  # with replacement
    if prob == 1.0:
        assert bool(drawn.applied.all())
    else:
        for op in range(14):
            assert_frequencies(torch.bincount(drawn.applied[drawn.op == op].long(), minlength=2), [1 - prob, prob])
    assert (drawn.op.dtype, drawn.value.dtype, drawn.box.dtype) == (torch.int64, torch.float32, torch.int64)


@pytest.mark.parametrize("preset", ["paper", "google"])
def test_the_cutout_is_half_a_side_around_an_even_centre(preset: str) -> None:
    top, left, bottom, right = draw(AugmentConfig(preset=preset)).box.unbind(1)
    for near, far in ((top, bottom), (left, right)):
        # A centre c cuts c - 8 .. c + 7 out of 0 .. 31: near and far edge give it back.
        centre = torch.where(near > 0, near + 8, far - 8)
        assert torch.equal(near, (centre - 8).clamp(min=0)) and torch.equal(far, (centre + 8).clamp(max=32))
        assert_frequencies(torch.bincount(centre, minlength=32))
    both = torch.where(top > 0, top + 8, bottom - 8) // 4 * 8 + torch.where(left > 0, left + 8, right - 8) // 4
    assert_frequencies(torch.bincount(both, minlength=64))


def test_kekmodels_cutout_is_up_to_17_pixels_and_starts_inside() -> None:
    top, left, bottom, right = draw(AugmentConfig(preset="kekmodel")).box.unbind(1)
    for near, far in ((top, bottom), (left, right)):
        assert torch.equal(far, (near + 17).clamp(max=32)) and int((far - near).max()) == 17
        # The near edge is int(max(0, 32 u - 8)): 0 for u < 9 / 32, then 1 .. 23.
        assert_frequencies(torch.bincount(near, minlength=24), [9] + [1] * 23)


@pytest.mark.parametrize(
    ("height", "width", "share", "side"),
    [(16, 32, 0.5, 8), (32, 16, 0.5, 8), (15, 40, 0.5, 8), (16, 16, 0.05, 1), (16, 16, 0.03, 0)],
)
def test_the_cutouts_side_is_a_share_of_the_shorter_side_to_the_nearest_pixel(
    height: int, width: int, share: float, side: int
) -> None:
    config = AugmentConfig(preset="paper", num_ops=0, cutout=share)
    top, left, bottom, right = draw_strong(
        500, height, width, config, torch.Generator().manual_seed(0), "cpu"
    ).box.unbind(1)
    assert int((bottom - top).max()) == int((right - left).max()) == side
    rng, white = np.random.default_rng(0), np.full((height, width, 1), 255, np.uint8)
    areas = [int((np.asarray(pillow_strong(white, rng, config, False)) != 255).sum()) for _ in range(50)]
    assert max(areas) == side**2, "the twin that the bench times cuts as much"


@pytest.mark.parametrize(
    ("preset", "frame", "cutout"), [("paper", 128, 128), ("google", 128, 128), ("kekmodel", 0, 127)]
)
def test_fills(preset: str, frame: int, cutout: int) -> None:
    images = torch.full((1, 32, 32, 3), 200, dtype=torch.uint8)
    translate = torch.tensor([[OP_NAMES.index("TranslateX")]])
    drawn = StrongDraw(translate, torch.tensor([[9.0]]), torch.tensor([[True]]), torch.tensor([[0, 0, 4, 4]]))
    for fill, (frame_level, cutout_level) in {None: (frame, cutout), "grey": (128, 128), "black": (0, 0)}.items():
        view = apply_strong(images, drawn, AugmentConfig(preset=preset, fill=fill))
        assert bool((view[0, :, 23:] == frame_level).all()) and bool((view[0, :4, :4] == cutout_level).all())
        assert bool((view[0, 4:, :23] == 200).all())


def test_off_is_the_weak_view() -> None:
    images = pictures(3)
    config = AugmentConfig(preset="off", num_ops=2)
    weak = weak_view(images, True, torch.Generator().manual_seed(4))
    assert torch.equal(strong_view(images, True, config, torch.Generator().manual_seed(4)), weak)
    drawn = draw(config, 5)
    assert drawn.op.shape == (5, 0) and int(drawn.box.abs().sum()) == 0


def test_settings_of_the_run_stand_above_the_presets() -> None:
    drawn = draw(AugmentConfig(preset="paper", num_ops=3, op_prob=0.25, cutout=0.0))
    assert drawn.op.shape == (20_000, 3)
    assert_frequencies(torch.bincount(drawn.applied.view(-1).long(), minlength=2), [0.75, 0.25])
    assert int(drawn.box.sum()) == 0
    images = pictures(1)
    for nothing in (AugmentConfig(num_ops=0, cutout=0.0), AugmentConfig(op_prob=0.0, cutout=0.0)):
        assert torch.equal(apply_strong(images, draw(nothing, len(images)), nothing), images)
    quarter = draw(AugmentConfig(cutout=0.25)).box
    assert int((quarter[:, 2] - quarter[:, 0]).max()) == 8


@pytest.mark.parametrize("preset", STEPS)
def test_strength_multiplies_the_distance_from_no_change(preset: str) -> None:
    column = PRESETS[preset]
    for name in column.magnitudes:
        exact = magnitude_at(column, name, 1.0, 32, 32)
        half, twice, none = (magnitude_at(column, name, strength, 32, 32) for strength in (0.5, 2.0, 0.0))
        rest = {**dict.fromkeys(ENHANCE, 1.0), "Posterize": 8.0, "Solarize": 256.0}.get(name, 0.0)
        flat: Callable[[Any], list[float]] = lambda m: list(m) if isinstance(m, Range) else list(m.values)  # noqa: E731
        whole = name == "Posterize" or (name.startswith("Translate") and preset != "paper")
        assert flat(none) == [rest] * len(flat(exact)), name
        for value, halved, doubled in zip(flat(exact), flat(half), flat(twice), strict=True):
            # Bits round to the nearest whole number, the codes' pixels are cut off.
            assert abs(halved - (rest + 0.5 * (value - rest))) <= (0.5 if whole else 1e-9), name
            assert doubled == pytest.approx(rest + 2 * (value - rest), abs=1 if name.startswith("Trans") else 1e-9)
    drawn = draw(AugmentConfig(preset=preset, strength=2.0))
    for name in OP_NAMES:
        bounds = legal(name, 32, 32)
        values = values_of(drawn, name).abs() if name in MOVE_NAMES else values_of(drawn, name)
        assert bounds.low <= float(values.min()) and float(values.max()) <= bounds.high, name
    calm = AugmentConfig(preset=preset, strength=0.0, cutout=0.0)
    images = pictures(3).repeat(20, 1, 1, 1)
    drawn = draw(calm, len(images))
    stretching = (drawn.op == OP_NAMES.index("AutoContrast")) | (drawn.op == OP_NAMES.index("Equalize"))
    quiet = ~(stretching & drawn.applied).any(dim=1)
    assert int(quiet.sum()) > 500 and torch.equal(apply_strong(images, drawn, calm)[quiet], images[quiet])


def test_translations_scale_with_the_side() -> None:
    assert float(values_of(draw(AugmentConfig(preset="paper"), size=16), "TranslateX").abs().max()) <= 4.8
    google = values_of(draw(AugmentConfig(preset="google"), size=16), "TranslateY").abs()
    assert sorted(google.unique().tolist()) == [0, 1, 2, 3, 4]
    wide = draw_strong(20_000, 16, 64, AugmentConfig(preset="google"), torch.Generator().manual_seed(0), "cpu")
    assert float(values_of(wide, "TranslateX").abs().max()) == 18
    assert float(values_of(wide, "TranslateY").abs().max()) == 4


@pytest.mark.parametrize("settings", [{}, {"strength": 2.0, "num_ops": 3, "fill": "black"}])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("preset", STEPS)
def test_both_ways_and_pillow_give_the_same_bytes(preset: str, channels: int, settings: dict[str, Any]) -> None:
    config = AugmentConfig(preset=preset, **settings)
    for height, width in ((32, 32), (20, 33)):
        images = pictures(channels, height, width)
        drawn = draw_strong(len(images), height, width, config, torch.Generator().manual_seed(height), "cpu")
        before = images.clone()
        assert torch.equal(apply_grouped(images, drawn, 55), apply_selected(images, drawn, 55))
        assert_equals_pillow(apply_strong(images, drawn, config), reference_augment.strong(images, drawn, config))
        assert torch.equal(images, before), "the input was written to"


def test_a_batch_is_its_images_one_by_one() -> None:
    images, config = pictures(3), AugmentConfig()
    drawn = draw(config, len(images))
    alone = [
        apply_strong(images[k : k + 1], StrongDraw(*(part[k : k + 1] for part in drawn)), config)
        for k in range(len(images))
    ]
    assert torch.equal(apply_strong(images, drawn, config), torch.cat(alone))


def test_an_empty_batch_stays_empty() -> None:
    images = pictures(3)[:0]
    view = strong_view(images, True, AugmentConfig(), torch.Generator().manual_seed(0))
    assert view.shape == (0, 32, 32, 3) and view.dtype == torch.uint8


def test_the_generator_alone_decides() -> None:
    images = pictures(1)
    torch.manual_seed(0)
    first = strong_view(images, False, AugmentConfig(), torch.Generator().manual_seed(5))
    torch.manual_seed(1)
    again = strong_view(images, False, AugmentConfig(), torch.Generator().manual_seed(5))
    other = strong_view(images, False, AugmentConfig(), torch.Generator().manual_seed(6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_random_pillow_pipeline_is_about_as_strong_as_ours() -> None:
    """Means over many views of one picture: the twin that the bench times does the same work."""
    picture = pictures(3)[30]
    for preset in STEPS:
        config = AugmentConfig(preset=preset)
        ours = strong_view(picture.repeat(800, 1, 1, 1), True, config, torch.Generator().manual_seed(0)).double()
        rng = np.random.default_rng(0)
        theirs = torch.from_numpy(
            np.stack([np.asarray(pillow_strong(picture.numpy(), rng, config, True)) for _ in range(800)])
        ).double()
        for moment in (lambda views: views.mean((1, 2, 3)), lambda views: views.std((1, 2, 3))):
            a, b = moment(ours), moment(theirs)
            assert abs(a.mean() - b.mean()) < 4 * ((a.var() + b.var()) / 800) ** 0.5, preset


class NoWaiting(TorchDispatchMode):
    """Refuse what makes a GPU wait for the host or the host for the GPU, and what can't be captured in a graph."""

    forbidden = (
        "_local_scalar_dense", "nonzero", "masked_select", "bincount", "unique", "lift_fresh", "is_nonzero", "equal.",
        "repeat_interleave.Tensor",
    )  # fmt: skip

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        assert not any(f"aten.{bad}" in name for bad in self.forbidden), f"{name} waits"
        if name.startswith(("aten.index.", "aten.index_put")):
            assert not any(index is not None and index.dtype == torch.bool for index in args[1]), f"{name} by a mask"
        return func(*args, **(kwargs or {}))


@contextmanager
def no_waiting() -> Iterator[None]:
    with NoWaiting():
        yield


@pytest.mark.parametrize("preset", STEPS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_gpus_way_never_waits(preset: str, channels: int) -> None:
    images, config = pictures(channels), AugmentConfig(preset=preset)
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.full((channels,), 0.5), torch.full((channels,), 0.25)
    drawn = draw(config, len(images))  # makes the constants
    with no_waiting():
        weak = apply_weak(images, draw_weak(len(images), True, 4, generator, "cpu"), 4)
        fresh = draw_strong(len(images), 32, 32, config, generator, "cpu")
        normalize(cut_out(apply_selected(weak, fresh, 128), fresh.box, 128), mean, std)
    with pytest.raises(AssertionError, match="waits"), no_waiting():
        apply_grouped(images, drawn, 128)


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="this torch knows no CUDA")
def test_no_tensor_is_left_on_the_host() -> None:
    """Shapes and devices alone, on a pretended GPU."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        images = torch.zeros(6, 32, 32, 3, dtype=torch.uint8, device="cuda")
        number = torch.zeros(6, dtype=torch.int64, device="cuda")
        weak = apply_weak(images, WeakDraw(number > 0, number, number), 4)
        pair = number[:, None].expand(6, 2)
        drawn = StrongDraw(pair, pair.float(), pair > 0, number[:, None].expand(6, 4))
        inputs = normalize(
            apply_strong(weak, drawn, AugmentConfig()), torch.ones(3, device="cuda"), torch.ones(3, device="cuda")
        )
        assert inputs.device.type == "cuda" and inputs.shape == (6, 3, 32, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("preset", STEPS)
def test_a_cuda_graph_gives_the_bytes_of_the_cpu(preset: str) -> None:
    config, images = AugmentConfig(preset=preset), pictures(3).repeat(4, 1, 1, 1)
    on_gpu, generator = images.cuda(), torch.Generator("cuda").manual_seed(0)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        strong_view(on_gpu, True, config, generator)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        drawn = draw_strong(len(images), 32, 32, config, generator, on_gpu.device)  # its constants were made above
        views = apply_strong(on_gpu, drawn, config)
    seen = []
    for _ in range(2):
        graph.replay()
        torch.cuda.synchronize()
        on_cpu = StrongDraw(*(part.cpu() for part in drawn))
        seen.append(views.cpu().clone())
        assert torch.equal(seen[-1], apply_strong(images, on_cpu, config))
    assert not torch.equal(seen[0], seen[1])
