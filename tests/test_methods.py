"""Each method against its slow twin, and the laws that hold for any formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sslcore.config import FixMatchConfig, FlexMatchConfig, MixMatchConfig, SupervisedConfig
from sslcore.methods.base import Batch, Mix
from sslcore.methods.fixmatch import FixMatch
from sslcore.methods.flexmatch import FlexMatch, status_to_share
from sslcore.methods.mixmatch import MixMatch, interleave, ramp, sharpen
from sslcore.methods.supervised import Supervised
from sslcore.models.norm import BatchNorm
from tests import reference

C, B, MU, POOL = 5, 6, 3, 40


class Linear(nn.Module):
    """A model without BatchNorm: every image is judged alone, so a twin can be fed row by row."""

    def __init__(self, scale: float = 3.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(C, 12, generator=torch.Generator().manual_seed(1)) * scale)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T


def make_batch(views: int, num_u: int, seed: int = 0, mix: bool = False) -> Batch:
    g = torch.Generator().manual_seed(seed)
    base = torch.randn(num_u, 3, 2, 2, generator=g)
    u = tuple(base + 0.3 * torch.randn(base.shape, generator=g) for _ in range(views))
    total = B + views * num_u
    draws = Mix(torch.rand(total, generator=g), torch.randperm(total, generator=g)) if mix else None
    index = torch.randperm(POOL, generator=g)[:num_u]
    return Batch(torch.randn(B, 3, 2, 2, generator=g), torch.randint(C, (B,), generator=g), u, index, draws)


def rows(model: nn.Module, images: Tensor) -> list[list[float]]:
    return model(images).detach().double().tolist()


def close(actual: Tensor, expected: float) -> None:
    assert actual.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_supervised_equals_the_definition() -> None:
    model, batch = Linear(), make_batch(0, 0)
    output = Supervised(SupervisedConfig(), C, POOL).step(model, batch, 0)
    close(output.loss, reference.supervised(rows(model, batch.x), batch.y.tolist()))


@pytest.mark.parametrize("tau", [0.0, 0.6, 0.95, 0.999])
def test_fixmatch_equals_the_definition(tau: float) -> None:
    model = Linear()
    for seed in range(4):
        batch = make_batch(2, MU * B, seed)
        output = FixMatch(FixMatchConfig(threshold=tau, lambda_u=1.7), C, POOL).step(model, batch, 0)
        expected = reference.fixmatch(
            rows(model, batch.x), batch.y.tolist(), rows(model, batch.u[0]), rows(model, batch.u[1]), tau, 1.7
        )
        close(output.loss, expected["loss"])
        for name in ("loss_x", "loss_u", "mask_rate"):
            close(output.metrics[f"train/{name}"], expected[name])
    if tau == 0.6:
        assert 0 < expected["mask_rate"] < 1, "the case must keep some and drop some"


@pytest.mark.parametrize("kind", ["convex", "linear", "concave"])
@pytest.mark.parametrize("warmup", [True, False])
def test_flexmatch_equals_the_definition_over_many_steps(kind: str, warmup: bool) -> None:
    model = Linear(1.5)
    method = FlexMatch(FlexMatchConfig(threshold=0.8, mapping=kind, threshold_warmup=warmup), C, POOL)
    records: list[int | None] = [None] * POOL
    rates = []
    for seed in range(12):
        batch = make_batch(2, MU * B, seed)
        output = method.step(model, batch, seed)
        expected = reference.flexmatch(
            rows(model, batch.x), batch.y.tolist(), rows(model, batch.u[0]), rows(model, batch.u[1]),
            batch.u_index.tolist(), records, 0.8, 1.0, kind, warmup,
        )  # fmt: skip
        close(output.loss, expected["loss"])
        close(output.metrics["train/mask_rate"], expected["mask_rate"])
        thresholds = method.thresholds(method.counts())
        assert thresholds.tolist() == pytest.approx(
            reference.flexmatch_thresholds(records, C, 0.8, kind, warmup), rel=1e-5
        )
        rates.append(expected["mask_rate"])
    assert rates[0] == 1.0 and min(rates) < 1.0, "everything is kept at step 0, and later not everything"


def test_flexmatch_records_by_the_fixed_tau_and_never_unsets() -> None:
    method = FlexMatch(FlexMatchConfig(threshold=0.9), 2, 3)

    class Told(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, :2]

    def step(*weak: tuple[float, float]) -> None:
        images = torch.tensor(weak).view(len(weak), 2, 1, 1)
        method.step(Told(), Batch(images[:1], torch.tensor([0]), (images, images), torch.arange(len(weak)), None), 0)

    step((5.0, 0.0), (0.0, 5.0), (0.5, 0.0))  # the third is kept (T = 0) but not confident: not recorded
    assert method.selected.tolist() == [0, 1, 2]
    step((0.0, 5.0), (0.1, 0.0), (0.0, 0.0))  # the first changes its class, the second is unsure: its record stays
    assert method.selected.tolist() == [1, 1, 2]
    assert method.counts().tolist() == [0, 2, 1]


def test_flexmatch_an_image_twice_in_a_batch_keeps_its_last_confident_class() -> None:
    method = FlexMatch(FlexMatchConfig(), 4, 5)
    method.selected.copy_(torch.tensor([4, 0, 4, 4, 2]))
    u_index, targets_u = torch.tensor([1, 2, 1, 3, 2, 3]), torch.tensor([1, 2, 3, 0, 0, 1])
    method.record(u_index, targets_u, torch.tensor([True, True, False, True, False, True]))
    assert method.selected.tolist() == [4, 1, 2, 1, 2]
    method.record(u_index, targets_u, torch.zeros(6, dtype=torch.bool))
    assert method.selected.tolist() == [4, 1, 2, 1, 2]


def test_flexmatch_paper_values_of_the_mapping() -> None:
    shares = status_to_share(torch.tensor([0.25, 0.5, 0.75, 1.0]), "convex") * 0.95
    assert shares.tolist() == pytest.approx([0.136, 0.317, 0.570, 0.950], abs=5e-4)


@pytest.mark.parametrize("views", [1, 2, 3])
def test_mixmatch_equals_the_definition(views: int) -> None:
    model = Linear(0.7)
    for seed in range(3):
        batch = make_batch(views, B, seed, mix=True)
        output = MixMatch(MixMatchConfig(views=views, lambda_u=75.0, ramp_steps=100), C, POOL).step(model, batch, 40)
        targets = reference.mixmatch_targets(batch.y.tolist(), [rows(model, u) for u in batch.u], 0.5)
        assert batch.mix is not None
        draws = batch.mix.lam.double().tolist(), batch.mix.permutation.tolist()
        pictures = torch.cat([batch.x, *batch.u]).flatten(1).double().tolist()
        mixed = torch.tensor(reference.mixup(pictures, *draws)).float().view(-1, 3, 2, 2)
        loss_x, loss_u = reference.mixmatch_losses(rows(model, mixed), reference.mixup(targets, *draws), B)
        close(output.metrics["train/loss_x"], loss_x)
        close(output.metrics["train/loss_u"], loss_u)
        close(output.loss, loss_x + 75.0 * 0.4 * loss_u)


def test_sharpening_laws() -> None:
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], dtype=torch.float64)
    torch.testing.assert_close(sharpen(p, 1.0), p)
    torch.testing.assert_close(
        sharpen(p, 0.5), torch.tensor([reference.sharpen(row, 0.5) for row in p.tolist()], dtype=torch.float64)
    )
    assert sharpen(p, 1e-3).argmax(dim=1).tolist() == [0, 2]
    torch.testing.assert_close(sharpen(p, 1e-3).max(dim=1).values, torch.ones(2, dtype=torch.float64))
    assert torch.isfinite(sharpen(torch.tensor([[1.0, 0.0, 0.0]]), 0.01)).all()


@pytest.mark.parametrize(("batch", "parts"), [(6, 3), (64, 3), (7, 3), (8, 2), (5, 4)])
def test_interleave_mixes_every_part_and_undoes_itself(batch: int, parts: int) -> None:
    whole = [torch.arange(batch) + 1000 * k for k in range(parts)]
    mixed = interleave(whole)
    labelled = [int((part < 1000).sum()) for part in mixed]
    assert sum(labelled) == batch and max(labelled) - min(labelled) <= 1, "each part holds its share of labelled images"
    assert all(len(part) == batch for part in mixed)
    assert all(torch.equal(a, b) for a, b in zip(interleave(mixed), whole, strict=True))


def test_ramp_is_linear_in_steps() -> None:
    assert [ramp(75.0, 100, step) for step in (0, 50, 100, 500)] == [0.0, 37.5, 75.0, 75.0]
    assert ramp(75.0, 0, 0) == 75.0


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = BatchNorm(3, momentum=0.1)
        self.head = Linear()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.norm.track:
            self.seen.append(images.detach())
        return self.head(self.norm(images))


def test_mixmatch_moves_running_statistics_once_from_a_mixed_batch() -> None:
    model, batch = Normed(), make_batch(2, B, 3, mix=True)
    MixMatch(MixMatchConfig(), C, POOL).step(model, batch, 0)
    assert len(model.seen) == 1, "one forward of the five moves the statistics"
    expected = 0.1 * model.seen[0].mean(dim=(0, 2, 3))
    torch.testing.assert_close(model.norm.running_mean, expected)
    assert model.norm.track, "and afterwards they move again"


def test_fixmatch_shares_batch_statistics_and_sends_gradient_through_the_strong_view_alone() -> None:
    model, batch = Normed(), make_batch(2, MU * B, 5)
    FixMatch(FixMatchConfig(threshold=0.0), C, POOL).step(model, batch, 0)
    assert [len(images) for images in model.seen] == [B + 2 * MU * B], "one forward for all three parts"
    linear = Linear()
    u_w, u_s = (u.clone().requires_grad_() for u in batch.u)
    output = FixMatch(FixMatchConfig(threshold=0.0), C, POOL).step(linear, batch._replace(u=(u_w, u_s)), 0)
    output.loss.backward()
    assert u_w.grad is None or not u_w.grad.any()
    assert u_s.grad is not None and u_s.grad.any()
