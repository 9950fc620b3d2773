"""The X-ray's numbers against the engine's own methods, probe and checkpoints."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dashboard import formulas, inspection, sandbox, xray
from dashboard.xray import Knobs, Subject
from sslcore import data, keyframes, presets
from sslcore.config import FixMatchConfig, FlexMatchConfig, MixMatchConfig
from sslcore.inspect import MOST_VIEWS, Inspector
from sslcore.lab import Lab
from sslcore.methods.base import Batch, Mix
from sslcore.methods.fixmatch import FixMatch
from sslcore.methods.flexmatch import FlexMatch
from sslcore.methods.mixmatch import MixMatch, sharpen
from sslcore.session import Stay
from sslcore.store import Store
from sslcore.trainer import Trainer
from tests.test_methods import C, Linear

POOL = 40


def subject_of(model: Linear, weak: list[Tensor], strong: Tensor) -> Subject:
    with torch.no_grad():
        logits = [model(view[None])[0].double().numpy() for view in weak]
        return Subject((), np.zeros((2, 2, 1), np.uint8), np.stack(logits), model(strong[None])[0].double().numpy(), False, -1)  # fmt: skip


def cases(count: int = 12, scale: float = 1.0) -> list[tuple[Linear, list[Tensor], Tensor]]:
    g = torch.Generator().manual_seed(5)
    found = []
    for k in range(count):
        base = torch.randn(3, 2, 2, generator=g)
        views = [base + 0.4 * torch.randn(base.shape, generator=g) for _ in range(4)]
        found.append((Linear(scale * (0.5 + k % 3)), views[:3], views[3]))
    return found


def batch_of(u: tuple[Tensor, ...], mix: Mix | None = None) -> Batch:
    return Batch(torch.zeros(1, 3, 2, 2), torch.zeros(1, dtype=torch.int64), u, torch.tensor([7]), mix)


@pytest.mark.parametrize("tau", [0.0, 0.6, 0.95])
def test_fixmatchs_loss_is_the_engines(tau: float) -> None:
    kept = []
    for model, weak, strong in cases():
        output = FixMatch(FixMatchConfig(threshold=tau), C, POOL).step(
            model, batch_of((weak[0][None], strong[None])), 0
        )
        ray = xray.trace(subject_of(model, weak, strong), Knobs("fixmatch", tau=tau), np.zeros(C + 1))
        assert ray.loss == pytest.approx(output.metrics["train/loss_u"].item(), rel=1e-4, abs=1e-7)
        assert output.pseudo is not None and (ray.guess, ray.kept) == (output.pseudo.targets.item(), bool(output.pseudo.mask))  # fmt: skip
        assert ray.confidence == pytest.approx(output.metrics["train/confidence"].item(), rel=1e-5)
        kept.append(ray.kept)
    assert tau == 0.0 or 0 < sum(kept) < len(kept), "the case must keep some and drop some"


@pytest.mark.parametrize("mapping", sandbox.MAPPINGS)
@pytest.mark.parametrize("warmup", [True, False])
def test_flexmatchs_loss_is_the_engines(mapping: str, warmup: bool) -> None:
    kept = []
    for k, (model, weak, strong) in enumerate(cases(scale=0.25)):
        method = FlexMatch(FlexMatchConfig(threshold=0.9, mapping=mapping, threshold_warmup=warmup), C, POOL)
        g = torch.Generator().manual_seed(k)
        method.selected[: 7 + 3 * k] = torch.randint(
            C, (7 + 3 * k,), generator=g
        )  # few records at first, all at the end
        counts = method.counts().double().numpy()
        output = method.step(model, batch_of((weak[0][None], strong[None])), 0)
        ray = xray.trace(subject_of(model, weak, strong), Knobs("flexmatch", tau=0.9, mapping=mapping, warmup=warmup), counts)  # fmt: skip
        assert ray.loss == pytest.approx(output.metrics["train/loss_u"].item(), rel=1e-4, abs=1e-7)
        assert output.pseudo is not None and ray.kept == bool(output.pseudo.mask)
        kept.append(ray.kept)
    assert 0 < sum(kept) < len(kept), "the case must keep some and drop some"


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0])
def test_mixmatchs_loss_is_the_engines_with_every_image_mixed_with_itself(views: int, temperature: float) -> None:
    for model, weak, strong in cases(6):
        method = MixMatch(MixMatchConfig(views=views, temperature=temperature), C, POOL)
        mix = Mix(torch.ones(1 + views), torch.arange(1 + views))
        output = method.step(model, batch_of(tuple(view[None] for view in weak[:views]), mix), 0)
        ray = xray.trace(subject_of(model, weak, strong), Knobs("mixmatch", views, temperature), np.zeros(C + 1))
        assert ray.loss == pytest.approx(output.metrics["train/loss_u"].item(), rel=1e-4, abs=1e-7)
        assert ray.kept and ray.threshold is None and len(ray.predicted) == views
        assert ray.target == pytest.approx(sharpen(torch.from_numpy(ray.probs), temperature).numpy(), rel=1e-6)


def test_sharpening_at_its_ends() -> None:
    g = np.random.default_rng(0)
    for probs in (*g.dirichlet(np.full(10, 0.3), 20), np.array([1.0, 0.0, 0.0]), np.full(4, 0.25)):
        assert xray.sharpen(probs, 1.0) == pytest.approx(probs)  # T = 1 changes nothing
        top = probs == probs.max()
        assert xray.sharpen(probs, 0.0) == pytest.approx(top / top.sum())  # the limit: argmax, shared between equals
        for temperature in (1e-3, 1e-9, 1e-300):  # nothing overflows, and it becomes the limit
            q = xray.sharpen(probs, temperature)
            assert np.isfinite(q).all() and q.sum() == pytest.approx(1)
        assert q == pytest.approx(xray.sharpen(probs, 0.0))
    rising = [xray.entropy(xray.sharpen(np.array([0.5, 0.3, 0.2]), t)) for t in (0.0, 0.1, 0.5, 1.0, 2.0)]
    assert rising == sorted(rising) and rising[0] == 0 and rising[3] == pytest.approx(1.0297, abs=1e-4)
    assert xray.entropy(np.full(8, 1 / 8)) == pytest.approx(math.log(8))


def test_of_many_classes_those_that_matter_are_drawn() -> None:
    logits = np.linspace(-3, 3, 100)
    subject = Subject((), np.zeros(1), logits[None], -logits, False, 50)
    ray = xray.trace(subject, Knobs("fixmatch", tau=0.0), np.zeros(101))
    shown = xray.shown_classes(ray, 50)
    assert len(shown) == 10 and shown == sorted(shown) and {50, 99, 0} <= set(shown)


class Sure(nn.Module):
    """Takes every picture for a 3, with a probability of 1 to the last digit."""

    def forward(self, x: Tensor) -> Tensor:
        return 200.0 * torch.eye(10)[3].expand(len(x), -1)


@pytest.mark.parametrize(("method", "threshold"), [("fixmatch", 1.0), ("flexmatch", 1.0), ("supervised", None)])
def test_a_guess_that_just_reaches_the_threshold_is_kept(method: str, threshold: float | None) -> None:
    config = presets.build("smoke", method, {} if threshold is None else {"method.threshold": threshold})
    trainer = Trainer(config, data.load(config.data), torch.device("cpu"))
    if isinstance(trainer.method, FlexMatch):
        trainer.method.selected.fill_(3)
    frame = trainer.probe.frame(Sure(), trainer.method, None)
    assert frame["weak_probs"].max(axis=1).tolist() == [1.0] * 64 and (frame["pseudo"] == 3).all()
    assert frame["threshold"][3] == (threshold or 0.0) and frame["mask"].tolist() == [1] * 64


# -- a real run: what keyframes and checkpoints hold ------------------------------------------------------------------


@pytest.fixture(scope="module", params=["flexmatch", "mixmatch"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished smoke run: its folder and its method."""
    lab = Lab(Store(tmp_path_factory.mktemp("runs")))
    run_id = lab.store.create(presets.build("smoke", request.param, {"train.threads": 1}))
    import threading

    lab.store.move(run_id, "running", only_from=["queued"])
    Stay(lab.store, run_id).advance(threading.Event())
    lab.close()
    return lab.store.folder(run_id), request.param


def frame_of(folder: Path, step: int) -> dict[str, np.ndarray]:
    return keyframes.probe(folder) | keyframes.load(folder, step)


def test_a_keyframes_logits_are_those_of_the_checkpoint_of_the_same_step(run: tuple[Path, str]) -> None:
    folder, method = run
    inspectors = [Inspector(path) for path in sorted(folder.glob("step-*.pt"))]
    assert [inspector.step for inspector in inspectors] == [10, 20, 30]
    for inspector in inspectors:
        frame = frame_of(folder, inspector.step)
        weak, strong = inspector.logits(frame["weak_images"]), inspector.logits(frame["strong_images"])
        others = inspector.logits(frame["more_weak_images"][:, 0])
        for i in range(64):
            subject = xray.from_keyframe(frame, i, method == "flexmatch")
            assert subject.weak_logits[0] == pytest.approx(weak[i], abs=2e-4)
            assert subject.weak_logits[1] == pytest.approx(others[i], abs=2e-4)
            assert subject.strong_logits == pytest.approx(strong[i], abs=2e-4)
            assert xray.softmax(subject.weak_logits[0]) == pytest.approx(frame["weak_probs"][i], abs=1e-5)
            assert (subject.counts is None) == (inspector.counts is None)
            if subject.counts is not None:
                assert subject.counts.tolist() == inspector.counts.tolist()  # type: ignore[union-attr]


def test_the_x_ray_tells_what_the_run_itself_decided(run: tuple[Path, str]) -> None:
    folder, method = run
    config = presets.build("smoke", method).method
    frame = frame_of(folder, keyframes.steps(folder)[-1])
    for i in range(64):
        subject = xray.from_keyframe(frame, i, method == "flexmatch")
        knobs = Knobs(method, tau=getattr(config, "threshold", 0.0), temperature=getattr(config, "temperature", 1.0))
        ray = xray.trace(subject, knobs, frame["count"].astype(float))
        assert ray.kept == bool(frame["mask"][i])
        if method == "mixmatch":
            assert ray.target == pytest.approx(frame["guess"][i], abs=1e-4)
        else:
            assert ray.guess == frame["pseudo"][i] and ray.thresholds == pytest.approx(frame["threshold"], abs=1e-6)


def test_keyframes_of_earlier_versions_still_work(run: tuple[Path, str]) -> None:
    folder, _ = run
    frame = frame_of(folder, 30)
    new = xray.from_keyframe(frame, 3, False)
    for name in ("view_lse", "strong_lse", "more_weak_images", "test_conf", "count"):
        frame.pop(name)
    old = xray.from_keyframe(frame, 3, True)
    assert old.shifted and not new.shifted and len(old.weak) == 1 and old.counts is None
    assert xray.softmax(old.weak_logits) == pytest.approx(xray.softmax(new.weak_logits), abs=1e-6)
    assert old.weak_logits.mean(axis=1) == pytest.approx(0, abs=1e-9)
    frame.pop("view_probs")
    assert xray.from_keyframe(frame, 3, True).weak_logits.shape == (1, 10)
    assert sandbox.from_keyframe(frame, "test") is None


def test_the_test_sets_confidences_fit_the_histograms(run: tuple[Path, str]) -> None:
    folder, _ = run
    frame = frame_of(folder, 30)
    test = sandbox.from_keyframe(frame, "test")
    assert test is not None and len(test.confidence) == len(frame["test_truth"])
    right, wrong = np.histogram(test.confidence[test.right], 20, (0, 1))[0], frame["hist_wrong"]
    assert abs(right - frame["hist_right"]).sum() <= 4 and test.right.sum() + wrong.sum() == len(test.truth)
    confusion = np.zeros_like(frame["confusion"])
    np.add.at(confusion, (test.truth, test.predicted), 1)
    assert (confusion == frame["confusion"]).all()


def test_any_image_of_the_pool_can_be_looked_at_and_stays_the_same(run: tuple[Path, str]) -> None:
    folder, _ = run
    first, last = (
        inspection.open_checkpoint(path) for path in (sorted(folder.glob("step-*.pt"))[0], folder / "last.pt")
    )
    assert inspection.open_checkpoint(folder / "last.pt") is last, "a file is read once"
    for position in (0, 5, len(last.pool) - 1):
        look, again, other = last.look(position), last.look(position), last.look(position, 1)
        assert (look.weak == again.weak).all() and (look.strong == again.strong).all()
        assert (look.weak != other.weak).any()
        assert (first.look(position).weak == look.weak).all(), "another checkpoint, the same views"
        assert len(look.weak) == len(look.weak_logits) == MOST_VIEWS
        assert look.weak_logits == pytest.approx(last.logits(look.weak), abs=1e-4)
        images = data.load(last.config.data)
        assert (look.image == images.train_images[last.pool[position]].numpy()).all()
        assert look.truth == images.train_labels[last.pool[position]]
    with pytest.raises(ValueError, match="position must be from 0"):
        last.look(len(last.pool))


def test_a_checkpoint_of_other_images_is_refused_in_one_sentence(run: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = run
    state = torch.load(folder / "last.pt", weights_only=True)
    torch.save(state | {"fingerprint": "another"}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="no longer holds the images"):
        inspection.open_checkpoint(tmp_path / "last.pt")
    (tmp_path / "last.pt").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"last\.pt"):
        inspection.open_checkpoint(tmp_path / "last.pt")


# -- the formulas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.8934, "0.893"), (12.345, "12.3"), (1.2e-5, r"1.20\times 10^{-5}"), (-0.5, "-0.500"), (123456.0, r"1.23\times 10^{5}"), (1, "1.00")],
)  # fmt: skip
def test_numbers_are_written_with_three_digits(value: float, shown: str) -> None:
    assert formulas.num(value) == shown


def test_the_formulas_hold_their_numbers() -> None:
    logits = np.log(np.array([0.7, 0.2, 0.1]))
    subject = Subject((), np.zeros(1), np.stack([logits, np.log([0.5, 0.3, 0.2])]), np.log([0.25, 0.5, 0.25]), False, 0)
    ray = xray.trace(subject, Knobs("mixmatch", 2, 0.5), np.zeros(4))
    assert r"\tfrac{1}{2}\,(0.700 + 0.500) = 0.600" in formulas.mean(ray)
    assert r"0.600^{\,1/0.5}}{0.445} = 0.809" in formulas.sharpened(ray, 0.5)  # .36 / (.36 + .0625 + .0225)
    ray = xray.trace(subject, Knobs("fixmatch", tau=0.6), np.zeros(4))
    assert r"0.700 &\ge 0.6" in formulas.gate(ray, 0.6) and "= 1" in formulas.gate(ray, 0.6)
    assert r"1\cdot \ln 0.250 = 1.39" in formulas.loss(ray, Knobs("fixmatch"))
    sure = dataclasses.replace(ray, loss=6.63e-4)
    assert r"\ln 0.250\\[4pt]&= 6.63\times 10^{-4}" in formulas.loss(sure, Knobs("fixmatch")), "it would leave the card"
    counts, knobs = np.array([30.0, 40.0, 10.0, 60.0]), Knobs("flexmatch", tau=0.9)
    ray = xray.trace(subject, knobs, counts)
    assert r"\frac{30}{60} = 0.500" in formulas.class_gate(ray, knobs, counts)
    assert "= 0.300" in formulas.class_gate(ray, knobs, counts)  # 0.5 / 1.5 * 0.9
    assert r"\frac{e^{900.00}}{2.81\times 10^{1302}}" in formulas.softmax(np.array([900.0, 2999.0]), 0)  # no overflow


def test_the_model_is_asked_in_evaluation_mode(run: tuple[Path, str]) -> None:
    inspector = Inspector(run[0] / "last.pt")
    assert not any(module.training for module in inspector.model.modules() if isinstance(module, nn.Module))
    alone, together = inspector.look(0).weak, inspector.look(1).weak
    both = inspector.logits(np.concatenate([alone, together]))
    assert both[: len(alone)] == pytest.approx(inspector.logits(alone), abs=1e-4)
