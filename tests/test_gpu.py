"""What only a GPU can show: a captured step gives the numbers of the same step taken as it stands, also after a resume and beside others."""

from __future__ import annotations

import copy
import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sslcore import checkpoint, cost, data, kernels, presets, recorder, sweep
from sslcore import events as ev
from sslcore.augment import strong_kernel
from sslcore.augment.randaugment import StrongDraw, apply_strong, draw_strong
from sslcore.config import METHOD_NAMES, AugmentConfig
from sslcore.graph import Taken
from sslcore.host_copy import HostCopy
from sslcore.lab import Lab
from sslcore.models import conv_kernels
from sslcore.models.norm_kernels import FORMATS, fits
from sslcore.store import Store
from sslcore.sweep import Plan
from sslcore.trainer import Trainer
from tests.reference_conv import assert_equals_float64 as convolution_equals_float64
from tests.reference_norm import WAYS, assert_equals_float64, layer_and_input, sum_before
from tests.test_lab import until, wait

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def same_kernels() -> Iterator[None]:
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = False


def make(method: str, **settings: Any) -> Trainer:
    small = {"data.source": "digits", "data.labels": 40, "model.depth": 10, "train.steps": 200, "train.batch": 16}
    config = presets.build("cifar10-tutorial", method, small | {"train.precision": "fp32", **settings})
    return Trainer(config, data.load(config.data), CUDA)


def losses(trainer: Trainer, steps: int) -> list[float]:
    return [trainer.train_step()[0].loss.item() for _ in range(steps)]


@pytest.mark.parametrize("preset", ["paper", "google", "kekmodel"])
@pytest.mark.parametrize(
    "shape", [(448, 32, 32, 3), (300, 16, 16, 1), (300, 33, 20, 3), (300, 2, 5, 1), (50, 80, 80, 3)]
)
def test_the_strong_kernel_equals_its_twins(shape: tuple[int, ...], preset: str) -> None:
    batch, height, width, _ = shape
    generator = torch.Generator(CUDA).manual_seed(0)
    for settings in ({}, {"strength": 1.7, "num_ops": 3, "fill": "black"}):
        config = AugmentConfig(preset=preset, **settings)
        images = torch.randint(0, 256, shape, generator=generator, device=CUDA, dtype=torch.uint8)
        images[::3] = images[::3] // 64 * 3 + 90  # few levels
        images[1::3] = images[1::3, :1, :1]  # a single one
        draw = draw_strong(batch, height, width, config, generator, CUDA)
        assert strong_kernel.fits(images)
        got = apply_strong(images, draw, config)
        on_cpu = StrongDraw(*(each.cpu() for each in draw))
        assert got.cpu().equal(apply_strong(images.cpu(), on_cpu, config))
        with kernels.without():
            selected = apply_strong(images, draw, config)
        assert got.equal(selected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("shape", [(960, 32, 32, 32), (64, 128, 8, 8), (5, 16, 3, 7), (2, 256, 1, 1), (448, 8, 4, 4)])
def test_the_norm_kernels_equal_their_twin(shape: tuple[int, ...], dtype: torch.dtype, way: str) -> None:
    """Against float64, forward and backward, with means far from zero; the running statistics move alike."""
    layer, x, dy = layer_and_input(shape, dtype, "cuda")
    also, d_total = sum_before(x, way)
    assert fits(x, also)
    assert_equals_float64(layer, x, dy, 1e-4, also, d_total)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("channels", "out"), [(1, 16), (3, 16), (16, 32), (32, 32)])
@pytest.mark.parametrize("size", [(3, 16), (64, 32), (960, 32)])
def test_the_convolutions_equal_their_twin(channels: int, out: int, size: tuple[int, int], dtype: torch.dtype) -> None:
    """Against float64, forward and both gradients; some blocks have several stripes, some none."""
    convolution_equals_float64(channels, out, size, dtype, "cuda")


def test_a_kernel_can_be_started_by_a_thread_that_has_not_asked_cuda_for_anything() -> None:
    """As that of autograd in its first step, where torch finds the memory it needs at hand."""
    x, dy, weight = (
        torch.randn(shape, device=CUDA).to(memory_format=torch.channels_last)
        for shape in ((8, 32, 32, 32), (8, 32, 32, 32), (32, 32, 3, 3))
    )
    x, dy = x.bfloat16(), dy.bfloat16()
    expected, got = conv_kernels.run_gradient(x, dy, weight), []
    torch.cuda.synchronize()
    thread = threading.Thread(target=lambda: got.append(conv_kernels.run_gradient(x, dy, weight)))
    thread.start()
    thread.join()
    torch.cuda.synchronize()
    assert torch.equal(got[0], expected)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_captured_step_with_our_kernels_equals_the_eager_one(method: str) -> None:
    """In half precision, on pictures of the width that the convolutions are made for."""
    half = {"data.source": "shapes", "train.precision": "bf16"}
    curves, started = [], []
    for graph in ("off", "on"):
        trainer = make(method, **half, **{"train.graph": graph})
        kernels.started = []
        try:
            curves.append(losses(trainer, 20))
            started.append(len(kernels.started))
        finally:
            kernels.started = None
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)
    assert started[0] > started[1] > 0


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_captured_equals_eager(method: str) -> None:
    eager, captured = make(method, **{"train.graph": "off"}), make(method, **{"train.graph": "on"})
    assert losses(captured, 50) == pytest.approx(losses(eager, 50), rel=1e-4)
    assert (
        captured.gpu is not None
        and captured.gpu.graph is not None
        and eager.gpu is not None
        and eager.gpu.graph is None
    )
    torch.testing.assert_close(captured.meter.sums, eager.meter.sums, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_a_run_resumed_on_a_gpu_goes_on(method: str) -> None:
    straight, first = make(method), make(method)
    expected = losses(straight, 30)
    losses(first, 17)
    second = make(method)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert losses(second, 13) == pytest.approx(expected[17:], rel=1e-4)


def test_a_checkpoint_is_taken_without_waiting_and_is_of_its_step() -> None:
    straight, trainer = make("flexmatch"), make("flexmatch")
    losses(straight, 23)
    losses(trainer, 20)
    with trainer.at_work(join=False):
        for _ in range(3):
            trainer.train_step()
        torch.cuda.set_sync_debug_mode("error")  # whatever waits for the device raises
        try:
            copy_of_it = HostCopy({"state": trainer.state_dict(), "finite": trainer.finite()})
        finally:
            torch.cuda.set_sync_debug_mode("default")
        for _ in range(5):
            trainer.train_step()
    came = copy_of_it.get()
    assert came["finite"] and came["state"]["step"] == 23
    for name, value in straight.ema.model.state_dict().items():
        torch.testing.assert_close(came["state"]["ema"][name], value.cpu(), rtol=1e-4, atol=1e-5)
    third = make("flexmatch")
    third.load_state_dict(came["state"])
    assert losses(third, 7) == pytest.approx(losses(straight, 7), rel=1e-4)


def test_a_run_writes_its_checkpoints_beside_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "CHECKPOINT_EVERY", 0.0)
    lab = Lab(Store(tmp_path))
    small = {"data.source": "digits", "data.labels": 40, "model.depth": 10, "train.batch": 16, "train.evals": 4}
    run_id = lab.start(
        presets.build("cifar10-tutorial", "flexmatch", small | {"train.steps": 2000, "train.device": "cuda"})
    )
    until(lambda: lab.store.run(run_id).step > 200)
    lab.pause(run_id)
    run = wait(lab, run_id, ev.PAUSED)
    assert checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"] == run.step < 2000
    lab.resume(run_id)
    run = wait(lab, run_id, ev.FINISHED)
    assert checkpoint.load(lab.store.folder(run_id) / checkpoint.LAST)["step"] == 2000, run.error
    lab.close()


def test_a_changed_knob_acts_in_a_captured_step() -> None:
    trainer = make("fixmatch", **{"method.threshold": 0.0})
    losses(trainer, 8)
    assert trainer.train_step()[0].metrics["train/mask_rate"] == 1
    graph = trainer.gpu.graph  # type: ignore[union-attr]
    trainer.change({"method.threshold": 1.0})
    assert trainer.train_step()[0].metrics["train/mask_rate"] < 1
    assert graph is not None and trainer.gpu.graph is graph  # type: ignore[union-attr]


def test_a_changed_word_is_captured_anew() -> None:
    trainer = make("flexmatch")
    losses(trainer, 8)
    trainer.change({"method.mapping": "linear"})
    assert trainer.gpu.graph is None  # type: ignore[union-attr]
    losses(trainer, 8)
    assert trainer.gpu.graph is not None  # type: ignore[union-attr]


def test_several_runs_on_streams_of_their_own_have_the_numbers_they_have_alone() -> None:
    alone = [losses(make(method), 20)[-1] for method in METHOD_NAMES]
    together = [make(method) for method in METHOD_NAMES]
    last: dict[int, torch.Tensor] = {}
    for _ in range(20):
        for k, trainer in enumerate(together):
            with trainer.at_work(join=False):
                last[k] = trainer.train_step()[0].loss
    torch.cuda.synchronize()
    assert [float(last[k].detach()) for k in range(4)] == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_captured_and_learns(precision: str) -> None:
    trainer = make("fixmatch", **{"train.precision": precision, "train.graph": "on"})
    curve = losses(trainer, 60)
    assert trainer.gpu is not None and trainer.gpu.graph is not None
    assert sum(curve[-10:]) < sum(curve[:10])


@pytest.mark.parametrize("method", ["fixmatch", "mixmatch"])  # SGD, Adam
def test_fp16_captured_equals_eager_also_after_a_resume(method: str) -> None:
    """The scale of the loss begins too high for the first steps, which are left out."""
    fp16 = {"train.precision": "fp16"}
    eager, captured, resumed = (
        make(method, **fp16, **{"train.graph": "off"}),
        make(method, **fp16),
        make(method, **fp16),
    )
    expected = losses(eager, 30)
    assert losses(captured, 17) == pytest.approx(expected[:17], rel=1e-2)
    resumed.load_state_dict(copy.deepcopy(captured.state_dict()))
    assert losses(resumed, 13) == pytest.approx(expected[17:], rel=1e-2)
    assert resumed.loss_scale is not None and eager.loss_scale is not None
    assert resumed.loss_scale.scale == eager.loss_scale.scale


def test_a_step_that_can_not_be_captured_is_taken_as_it_stands_and_others_are_captured() -> None:
    plain, refusing = make("fixmatch", **{"train.graph": "off"}), make("fixmatch")
    step = refusing.one_step

    def waiting() -> Taken:
        taken = step()
        if torch.cuda.is_current_stream_capturing():
            taken[0].loss.item()
        return taken

    refusing.one_step = waiting  # type: ignore[method-assign]
    expected = losses(plain, 20)
    assert losses(refusing, 20) == pytest.approx(expected, rel=1e-4)
    assert refusing.gpu is not None and refusing.gpu.graph is None
    assert refusing.gpu.told.startswith("the step could not be captured: ")
    assert losses(make("fixmatch", **{"train.graph": "on"}), 20) == pytest.approx(expected, rel=1e-4)


def test_the_memory_of_a_captured_run_that_has_left_is_free_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        trainer = make("flexmatch", **{"train.graph": "on"})
        losses(trainer, 8)
        left = [weakref.ref(each) for each in (trainer.model, trainer.gpu)]
        held = torch.cuda.memory_allocated()
        del trainer
        assert [each() for each in left] == [None, None]
        assert torch.cuda.memory_allocated() < held
    finally:
        gc.enable()


def test_a_page_that_times_a_sweep_disturbs_no_capture() -> None:
    """It does so in a thread of its own, while runs begin in the trainer's."""
    plan = Plan("smoke", ("fixmatch", "mixmatch"), (10,), (0,), {"train.device": "cuda", "train.precision": "fp32"})
    measured: list[dict[str, float]] = []
    page = threading.Thread(target=lambda: [measured.append(cost.measure(sweep.cells(plan))) for _ in range(4)])
    page.start()
    while page.is_alive():
        losses(make("fixmatch", **{"train.graph": "on"}), 6)
    page.join()
    assert len(measured) == 4 and all(0 < each < 1 for found in measured for each in found.values())


def test_runs_that_share_the_gpu_come_and_go(tmp_path: Path) -> None:
    lab = Lab(Store(tmp_path), at_once=2)
    small = {"data.source": "digits", "data.labels": 40, "model.depth": 10, "train.batch": 16, "train.evals": 4}
    small |= {"train.steps": 300, "train.device": "cuda"}
    ids = [lab.start(presets.build("cifar10-tutorial", method, small)) for method in METHOD_NAMES]
    runs = [wait(lab, run_id, ev.FINISHED, ev.FAILED, ev.DIVERGED) for run_id in ids]
    lab.close()
    assert {(run.state, run.error, run.summary.get("steps_by")) for run in runs} == {
        (ev.FINISHED, "", "one CUDA graph a step")
    }


def test_a_compiled_step_has_our_kernels_and_is_captured() -> None:
    curves, starts = [], []
    for compiled in (False, True):
        trainer = make("fixmatch", **{"train.precision": "bf16", "train.graph": "on", "train.compile": compiled})
        kernels.started = []
        try:
            first = losses(trainer, 1)
            starts.append(len(kernels.started))
        finally:
            kernels.started = None
        curves.append(first + losses(trainer, 11))
        assert trainer.gpu is not None and trainer.gpu.graph is not None
    assert starts[0] == starts[1] > 4
    assert curves[1] == pytest.approx(curves[0], rel=0.05)
