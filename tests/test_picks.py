"""The labelled images by choice: typical, outliers and by hand, against loops; balanced, nested, and strict with what is typed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sslcore import config as cfg
from sslcore import data, keys, presets
from sslcore.config import ConfigError, DataConfig, RunConfig
from sslcore.data import picks
from sslcore.data.image_set import ImageSet, build
from sslcore.rng import Generators
from sslcore.trainer import Trainer, cut

SIZES = (9, 4, 14)
UNKNOWN = 5


@pytest.fixture(scope="module")
def images() -> ImageSet:
    """Three classes of noise around grey levels of their own, and images of unknown class."""
    chance = torch.Generator().manual_seed(1)
    labels = torch.tensor([c for c, size in enumerate(SIZES) for _ in range(size)] + [-1] * UNKNOWN)
    pixels = torch.randint(0, 256, (len(labels), 8, 8, 1), generator=chance, dtype=torch.uint8)
    shuffled = torch.randperm(len(labels), generator=chance)
    train = (pixels[shuffled], labels[shuffled])
    return build(
        source="x", title="x", train=train, test=(pixels[:3], torch.arange(3)), class_names=("a", "b", "c"), flip=False
    )


def split(images: ImageSet, seed: int = 0, **settings: object):  # type: ignore[no-untyped-def]
    config = dataclasses.replace(RunConfig(), data=DataConfig(**settings))  # type: ignore[arg-type]
    return cut(config, images, Generators(seed, torch.device("cpu"))["split"])


def slow_ranks(images: ImageSet, label: int) -> list[int]:
    """The members of a class by their distance to its mean in the whole pixel space: 8 x 8 pixels have up to 64 axes."""
    where = [i for i, found in enumerate(images.train_labels.tolist()) if found == label]
    flat = images.train_images.double().flatten(1)
    _, _, axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    points = (flat - flat.mean(0)) @ axes[: picks.AXES].T
    mean = points[where].mean(0)
    return sorted(where, key=lambda i: float((points[i] - mean).square().sum()))


@pytest.mark.parametrize("pick", ["typical", "outliers"])
def test_the_first_of_each_class_are_the_nearest_or_the_farthest(images: ImageSet, pick: str) -> None:
    for count in (3, 6, 12):
        got = split(images, labels=count, pick=pick).labeled.tolist()
        wanted: list[int] = []
        for label in range(3):
            ranks = slow_ranks(images, label)
            wanted += (ranks if pick == "typical" else ranks[::-1])[: count // 3]
        assert got == sorted(wanted)


@pytest.mark.parametrize("pick", ["typical", "outliers"])
def test_a_choice_is_balanced_nested_and_the_same_for_every_seed(images: ImageSet, pick: str) -> None:
    before: set[int] = set()
    for count in range(3, sum(SIZES) + 1):
        got = split(images, labels=count, pick=pick).labeled
        counts = torch.bincount(images.train_labels[got], minlength=3).tolist()
        left = [have for have, size in zip(counts, SIZES, strict=True) if have < size]
        assert len(got) == count and before < set(got.tolist()) and all(have >= max(counts) - 1 for have in left)
        before = set(got.tolist())
        if count % 3 == 0 and count <= 12:
            assert torch.equal(got, split(images, seed=7, labels=count, pick=pick).labeled)


def test_chance_and_validation_are_as_before_whatever_is_chosen(images: ImageSet) -> None:
    plain = split(images, labels=9, val=6)
    for pick in ("typical", "outliers"):
        other = split(images, labels=9, val=6, pick=pick)
        assert not set(other.labeled.tolist()) & set(other.val.tolist())
        assert torch.equal(other.val, split(images, labels=3, val=6, pick=pick).val), (
            "no count moves the validation part"
        )
        assert not torch.equal(other.labeled, plain.labeled)


def test_by_hand_takes_the_clicked_images_class_by_class_in_their_order(images: ImageSet) -> None:
    labels = images.train_labels.tolist()
    a, b, c = ([i for i, found in enumerate(labels) if found == label] for label in range(3))
    hand = [c[3], a[5], b[0], c[1], a[2], b[3]]
    text = ",".join(map(str, hand))
    assert split(images, labels=6, pick="by-hand", hand=text).labeled.tolist() == sorted(hand)
    assert split(images, labels=3, pick="by-hand", hand=text).labeled.tolist() == sorted([c[3], a[5], b[0]])
    whole = split(images, labels=6, pick="by-hand", hand=text, val=sum(SIZES) - 6)
    assert set(whole.val.tolist()) == set(a + b + c) - set(hand), "what a person labelled never validates"
    with pytest.raises(ConfigError, match=r"data\.val must be from 0 to 21 .*less the 6 of data\.hand\), got 22"):
        split(images, labels=6, pick="by-hand", hand=text, val=22)


@pytest.mark.parametrize(
    ("hand", "told"),
    [
        ("", "data.hand must name the labelled images with data.pick by-hand"),
        ("1,2,x", "whole numbers such as 3,17,204, got 'x'"),
        ("1,,2", "whole numbers such as 3,17,204, got ''"),
        ("1,-2,3", "got '-2'"),
        ("1,2.0,3", "got '2.0'"),
        ("1,\u0662,3", "whole numbers"),
        ("1," + "9" * 5000, "whole numbers"),
        (",".join(map(str, range(2001))), "at most 2,000 whole numbers such as 3,17,204, got 2,001"),
        ("5,6,5", "must name each image once, got 5 more than once"),
        ("1,2", "data.labels must be at most 2, as many as data.hand names, got 3"),
        ("0,1,99", "must name training images from 0 to 31, got 99"),
    ],
)
def test_what_was_typed_by_hand_is_checked(images: ImageSet, hand: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config = cfg.replace(RunConfig(), {"data.labels": 3, "data.pick": "by-hand", "data.hand": hand})
        cut(config, images, Generators(0, torch.device("cpu"))["split"])
    assert told in str(caught.value) and len(str(caught.value)) < 300


def test_by_hand_needs_every_class_known(images: ImageSet) -> None:
    labels = images.train_labels.tolist()
    first = [labels.index(c) for c in (-1, 0, 1, 2)]
    with pytest.raises(ConfigError, match="images whose class is known"):
        split(images, labels=4, pick="by-hand", hand=",".join(map(str, first)))
    two = [i for i, c in enumerate(labels) if c in (0, 2)][:5]
    with pytest.raises(ConfigError, match="an image of every class, got none of 'b'"):
        split(images, labels=3, pick="by-hand", hand=",".join(map(str, two)))
    with pytest.raises(ConfigError, match=r"data\.hand must be empty with data\.pick random"):
        RunConfig(data=DataConfig(hand="1,2"))


def test_a_run_keeps_its_choice_and_goes_on_with_it() -> None:
    """Typical digits: the same split again out of a checkpoint's config, and an older config without the setting is random."""
    config = presets.build("smoke", "flexmatch", {"data.pick": "typical"})
    digits = data.load(config.data)
    trainer = Trainer(config, digits, torch.device("cpu"))
    state = trainer.state_dict()
    again = Trainer(cfg.from_dict(state["config"]), digits, torch.device("cpu"))
    again.load_state_dict(state)
    assert torch.equal(again.split.labeled, trainer.split.labeled)
    old = cfg.to_dict(presets.build("smoke"))
    del old["data"]["pick"], old["data"]["hand"]
    assert keys.content_key(old) == keys.content_key(cfg.to_dict(presets.build("smoke")))
    assert cfg.from_dict(old).data.pick == "random"
