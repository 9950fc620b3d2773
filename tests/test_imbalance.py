"""Long tails, wrong labels by share and foreign images: what the split holds, against loops and by hand; and a run with them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from sslcore import config as cfg
from sslcore import data, presets
from sslcore import events as ev
from sslcore.config import ConfigError, DataConfig, RunConfig
from sslcore.data.splits import Choice, Split, make_split, profile, taught_labels
from sslcore.report import html_report
from sslcore.store import Store

CLASSES, EACH = 5, 60
LABELS = torch.arange(CLASSES * EACH) % CLASSES


def split(num_labels: int, seed: int = 3, labels: torch.Tensor = LABELS, **settings: object) -> Split:
    generator = torch.Generator().manual_seed(seed)
    given = {"num_val": 0, "include_labeled": True} | settings
    return make_split(labels, CLASSES, num_labels=num_labels, generator=generator, **given)  # type: ignore[arg-type]


def counts(index: torch.Tensor, labels: torch.Tensor = LABELS) -> list[int]:
    return torch.bincount(labels[index], minlength=CLASSES).tolist()


def slow_deal(num_labels: int, gamma: float) -> list[int]:
    """Sainte-Lague by its definition: each seat to the largest quotient share / (2 k + 1), a class's first before all."""
    shares, have = profile(gamma, CLASSES), [1] * CLASSES
    while sum(have) < num_labels:
        quotients = [share / (2 * k + 1) if k < EACH else 0.0 for share, k in zip(shares, have, strict=True)]
        have[quotients.index(max(quotients))] += 1
    return have


@pytest.mark.parametrize("gamma", [2.0, 10.0, 50.0, 0.05])
def test_labelled_counts_follow_the_profile_and_stay_nested(gamma: float) -> None:
    before: set[int] = set()
    for num_labels in (5, 6, 9, 20, 55, 100, 130):
        got = split(num_labels, labeled_gamma=gamma).labeled
        assert counts(got) == slow_deal(num_labels, gamma)
        assert before < set(got.tolist())
        before = set(got.tolist())
    shares = profile(gamma, CLASSES)
    assert shares[0] / shares[-1] == pytest.approx(gamma) and shares[1] / shares[0] == pytest.approx(
        shares[2] / shares[1]
    )


def test_an_even_profile_is_the_split_without_one() -> None:
    """Dealt by shares of 1 the seats fall as they do in turn: the default moves no run's labelled images."""
    for num_labels in (5, 7, 33, 250):
        plain, even = (
            split(num_labels, num_val=30),
            split(num_labels, num_val=30, labeled_gamma=1.0, unlabeled_gamma=1.0),
        )
        assert all(torch.equal(getattr(plain, part), getattr(even, part)) for part in ("labeled", "unlabeled", "val"))


def test_the_pool_follows_its_own_profile_and_keeps_the_labelled_ones_first() -> None:
    plain, got = split(10), split(10, unlabeled_gamma=20.0)
    assert torch.equal(plain.labeled, got.labeled)
    assert counts(got.unlabeled) == [60, 28, 13, 6, 3] and set(got.unlabeled.tolist()) < set(plain.unlabeled.tolist())
    assert set(got.labeled.tolist()) <= set(got.unlabeled.tolist())
    assert counts(split(10, unlabeled_gamma=0.05).unlabeled) == [3, 6, 13, 28, 60]
    few, many = split(10, unlabeled_gamma=8.0).unlabeled, split(10, unlabeled_gamma=100.0).unlabeled
    assert set(many.tolist()) < set(few.tolist()) and min(counts(split(10, unlabeled_gamma=1000.0).unlabeled)) == 1
    # Without the labelled ones, and of uneven classes, the ratio still holds.
    uneven = torch.cat([LABELS, torch.zeros(200, dtype=torch.int64)])
    apart = split(10, labels=uneven, unlabeled_gamma=4.0, include_labeled=False)
    assert not set(apart.labeled.tolist()) & set(apart.unlabeled.tolist())
    most, *_, least = counts(apart.unlabeled, uneven)
    assert most / least == pytest.approx(4.0, abs=0.1)


def test_which_images_the_pool_keeps_is_the_first_of_each_class_in_seeded_order() -> None:
    generator = torch.Generator().manual_seed(3)
    torch.randperm(CLASSES, generator=generator)  # the order of the classes
    kept = split(10, unlabeled_gamma=20.0).unlabeled
    for label, count in enumerate((60, 28, 13, 6, 3)):
        members = torch.arange(label, len(LABELS), CLASSES)
        first = members[torch.randperm(EACH, generator=generator)][:count]
        assert torch.equal(kept[LABELS[kept] == label], first.sort().values)


def test_labelled_images_stay_in_a_thinned_pool_whoever_chose_them() -> None:
    by_hand = Choice([torch.tensor([290 + label, 295 + label]) for label in range(CLASSES)], whole=True)
    got = split(10, unlabeled_gamma=20.0, choice=by_hand)
    assert got.labeled.tolist() == list(range(290, 300)) and set(got.labeled.tolist()) <= set(got.unlabeled.tolist())
    assert counts(got.unlabeled) == [60, 28, 13, 6, 3]


def test_a_class_that_is_just_large_enough_loses_no_image_to_rounding() -> None:
    uneven = torch.cat([LABELS[LABELS < 4], torch.zeros(140, dtype=torch.int64), torch.full((3,), 4)])
    assert counts(split(10, labels=uneven, unlabeled_gamma=49.0).unlabeled, uneven) == [147, 55, 21, 7, 3]


def test_a_class_whose_images_are_all_labelled_does_not_empty_the_pool() -> None:
    labels = torch.cat([torch.zeros(100), torch.ones(100), torch.full((4,), 2)]).long()
    generator = torch.Generator().manual_seed(3)
    got = make_split(
        labels, 3, num_labels=12, num_val=0, generator=generator, unlabeled_gamma=4.0, include_labeled=False
    )
    assert [int((labels[got.unlabeled] == c).sum()) for c in range(3)] == [96, 48, 0]


def test_unknown_images_are_never_thinned_away() -> None:
    labels = torch.cat([LABELS, torch.full((7,), -1)])
    got = split(10, labels=labels, unlabeled_gamma=100.0).unlabeled.tolist()
    assert set(range(len(LABELS), len(labels))) <= set(got)


def test_wrong_labels_by_share() -> None:
    config = cfg.replace(RunConfig(), {"data.labels": 40, "data.wrong_share": 0.3})
    assert cfg.num_wrong(config) == 12 and cfg.num_wrong(cfg.replace(config, {"data.labels": 10})) == 3
    assert cfg.num_wrong(cfg.replace(RunConfig(), {"data.wrong": 2})) == 2 and cfg.num_wrong(RunConfig()) == 0
    rounded = {
        labels: cfg.num_wrong(cfg.replace(config, {"data.labels": labels, "data.wrong_share": 0.25}))
        for labels in (11, 13)
    }
    assert rounded == {11: 3, 13: 3}, "2.75 and 3.25: to the nearest whole number"
    few, many = split(10, num_wrong=3), split(40, num_wrong=12)
    assert set(few.mislabeled.tolist()) < set(many.mislabeled.tolist()) <= set(many.labeled.tolist())
    told = taught_labels(LABELS, many, CLASSES)
    assert int((told != LABELS).sum()) == 12


def test_foreign_classes_leave_labels_and_test_but_not_the_pool() -> None:
    whole, got = data.load(DataConfig()), data.load(DataConfig(foreign_classes=4))
    assert got.class_names == tuple("012345") and got.counts("test") == whole.counts("test")[:6]
    assert got.counts("train") == whole.counts("train")[:6] and got.foreign is not None
    assert torch.equal(got.foreign, whole.train_labels >= 6) and bool((got.train_labels[got.foreign] == -1).all())
    assert torch.equal(got.test_images, whole.test_images[whole.test_labels < 6])
    assert got.fingerprint != whole.fingerprint and "(6, 7, 8, 9)" in got.notes[-1]
    assert data.load(DataConfig(foreign_classes=4)) is got and data.load(DataConfig()) is whole
    assert got.to("cpu") is got
    with pytest.raises(ConfigError, match=r"data.foreign_classes must be from 0 to 8 \(10 classes.*\), got 9"):
        data.load(DataConfig(foreign_classes=9))


def test_share_of_foreign_images_in_the_pool() -> None:
    labels, foreign = LABELS.clone(), LABELS == 4
    labels[foreign] = -1
    given = {"labels": labels, "foreign": foreign}

    def pool(share: float | None, include: bool = True) -> torch.Tensor:
        generator = torch.Generator().manual_seed(3)
        return make_split(
            labels,
            4,
            num_labels=8,
            num_val=0,
            foreign=foreign,
            foreign_share=share,
            include_labeled=include,
            generator=generator,
        ).unlabeled

    assert given and len(pool(None)) == 300 and int(foreign[pool(0.0)].sum()) == 0
    assert int(foreign[pool(0.1)].sum()) == 27 and len(pool(0.1)) == 267
    assert int(foreign[pool(0.1, include=False)].sum()) == round(232 / 9)
    with pytest.raises(
        ConfigError, match=r"data.foreign_share must be at most 0.2 \(60 foreign images beside 240 others\), got 0.5"
    ):
        pool(0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.labeled_gamma": 0}, "data.labeled_gamma must be a number from 0.001 to 1,000"),
        ({"data.unlabeled_gamma": 2000}, "data.unlabeled_gamma"),
        ({"data.wrong_share": 1.5}, "data.wrong_share must be a number from 0.0 to 1.0"),
        ({"data.wrong_share": 0.5, "data.wrong": 1}, "one of them must be 0, got 1 and 0.5"),
        (
            {"data.foreign_share": 0.5},
            "data.foreign_share must be empty unless data.foreign_classes is 1 or more, got 0.5",
        ),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cfg.replace(RunConfig(), changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_with_all_of_it(tmp_path: Path) -> None:
    """Foreign images count in no purity, and how many of them are kept is written down; the test set is that of six classes."""
    from sslcore.session import Stay

    settings = {
        "data.foreign_classes": 4, "data.foreign_share": 0.3, "data.labeled_gamma": 5.0, "data.unlabeled_gamma": 3.0, "data.wrong_share": 0.1,
        "train.steps": 12, "train.evals": 2,
    }  # fmt: skip
    store = Store(tmp_path)
    run_id = store.create(presets.build("smoke", "flexmatch", settings))
    store.move(run_id, ev.RUNNING, only_from=[ev.QUEUED])
    assert Stay(store, run_id).advance(threading.Event()) == ev.FINISHED
    points = store.points(run_id, ev.TRAIN)
    kept = points["train/foreign_kept"]
    assert kept[0] == 1.0 and ((kept >= 0) & (kept <= 1)).all()  # FlexMatch keeps everything at first
    recall = store.arrays(run_id, "eval/test/recall")[1]
    evals = store.points(run_id, ev.EVAL)
    assert recall.shape == (2, 6) and recall.mean(axis=1) == pytest.approx(
        evals["eval/test/balanced_accuracy"], abs=1e-6
    )
    assert store.run(run_id).summary["test_balanced_accuracy"] == pytest.approx(float(recall[-1].mean()))
    assert "Balanced test accuracy" in (page := html_report(store, [run_id])) and "Foreign images kept" in page
    assert store.run(run_id).summary["num_test"] == 216 and len(store.run(run_id).summary["class_names"]) == 6
