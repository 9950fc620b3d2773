"""What is broken on purpose: a wrong class for some labelled images, two faults of the tutorial, and the presets that show them."""

from __future__ import annotations

import pytest
import torch

from sslcore import config as cfg
from sslcore import data, keys, methods, presets
from sslcore.config import ConfigError, FlexMatchConfig, RunConfig
from sslcore.data.splits import make_split, taught_labels
from sslcore.methods.base import Batch
from sslcore.methods.faults import FAULTS
from sslcore.methods.flexmatch import FlexMatch
from sslcore.trainer import Trainer
from tests import reference
from tests.test_methods import MU, POOL, B, C, Linear, close, make_batch, rows


def trainer(**settings: str) -> Trainer:
    config = presets.build("smoke", "flexmatch", settings)
    return Trainer(config, data.load(config.data), torch.device("cpu"))


def tutorial_step(model: Linear, batch: Batch, thresholds: list[float]) -> dict[str, float]:
    """The tutorial's loop: the confidence and the threshold are both looked up with the predicted class."""
    confidences, classes = [], []
    for row in rows(model, batch.u[0]):
        q = reference.softmax(row)
        confidences.append(max(q))
        classes.append(reference.argmax(q))
    mask = [1.0 if confidences[k] >= thresholds[k] else 0.0 for k in classes]
    total = 0.0
    for label, kept, row in zip(classes, mask, rows(model, batch.u[1]), strict=True):
        total += kept * reference.cross_entropy(reference.one_hot(label, C), row)
    return {
        "loss_u": total / len(mask),
        "mask_rate": sum(mask) / len(mask),
        "confidence": sum(confidences) / len(confidences),
    }


def test_the_mask_by_class_number_is_the_tutorials() -> None:
    model = Linear(1.5)
    config = FlexMatchConfig(threshold=0.8, fault="mask-by-class-number")
    method, right = methods.build(config, C, POOL), FlexMatch(config, C, POOL)
    differs = 0
    for seed in range(12):
        batch = make_batch(2, MU * B, seed)
        thresholds = method.thresholds(method.counts()).tolist()  # type: ignore[union-attr]
        output, sound = method.step(model, batch, seed), right.step(model, batch, seed)
        expected = tutorial_step(model, batch, thresholds)
        close(output.metrics["train/mask_rate"], expected["mask_rate"])
        close(output.metrics["train/loss_u"], expected["loss_u"])
        assert output.pseudo is not None and sound.pseudo is not None
        differs += int((output.pseudo.mask != sound.pseudo.mask).sum())
        for k in output.pseudo.targets.unique():
            assert len(output.pseudo.mask[output.pseudo.targets == k].unique()) == 1, "a class is kept or dropped whole"
        torch.testing.assert_close(method.selected, right.selected)  # type: ignore[union-attr]
    assert differs > 20, "the fault must be seen"


def test_with_fewer_images_than_classes_the_last_one_is_asked() -> None:
    method = methods.build(FlexMatchConfig(fault="mask-by-class-number"), 4, 3)
    assert isinstance(method, FlexMatch)
    method.selected.copy_(torch.tensor([3, 3, 3]))  # T_3 = tau, the others 0
    assert method.keep(torch.tensor([0.99, 0.5]), torch.tensor([3, 0])).tolist() == [False, True]


def test_a_keyframe_keeps_what_the_faulty_mask_keeps() -> None:
    one = trainer(**{"method.fault": "mask-by-class-number", "method.threshold": "0.3"})
    assert isinstance(one.method, FlexMatch)
    generator = torch.Generator().manual_seed(0)
    one.method.selected.copy_(torch.randint(11, one.method.selected.shape, generator=generator))
    frame = one.probe.frame(one.model, one.method, None)
    confidence, pseudo = torch.from_numpy(frame["weak_probs"]).max(dim=1)
    kept, sound = one.method.keep(confidence, pseudo), FlexMatch.keep(one.method, confidence, pseudo)
    assert frame["mask"].tolist() == kept.int().tolist()
    assert not torch.equal(kept, sound) and 0 < int(kept.sum()) < len(kept), "the fault must be seen"


def test_the_confidence_called_mask_rate_changes_the_report_alone() -> None:
    model = Linear(1.5)
    config = FlexMatchConfig(threshold=0.8, fault="confidence-as-mask-rate")
    method, right = methods.build(config, C, POOL), FlexMatch(config, C, POOL)
    for seed in range(4):
        batch = make_batch(2, MU * B, seed)
        thresholds = right.thresholds(right.counts()).tolist()
        output, sound = method.step(model, batch, seed), right.step(model, batch, seed)
        close(output.metrics["train/mask_rate"], tutorial_step(model, batch, thresholds)["confidence"])
        assert output.loss.item() == sound.loss.item() and output.pseudo is not None and sound.pseudo is not None
        assert torch.equal(output.pseudo.mask, sound.pseudo.mask)
    first = FlexMatch(config, C, POOL).step(model, make_batch(2, MU * B, 0), 0)
    assert first.metrics["train/mask_rate"] == 1.0, "and so the two differ at the first step"


def test_without_a_fault_it_is_flexmatch_itself() -> None:
    assert type(methods.build(FlexMatchConfig(), C, POOL)) is FlexMatch
    field = next(spec for path, spec, _ in cfg.walk(RunConfig()) if path == "method.fault")
    assert tuple(FAULTS) == field.metadata["choices"]


def test_wrong_labels_are_the_first_of_the_nested_sequence() -> None:
    labels = torch.arange(40) % 4

    def make(num_labels: int, num_wrong: int):
        generator = torch.Generator().manual_seed(5)
        return make_split(
            labels, 4, num_labels=num_labels, num_val=4, num_wrong=num_wrong, include_labeled=True, generator=generator
        )

    plain = make(12, 0)
    assert len(plain.mislabeled) == 0 and taught_labels(labels, plain, 4) is labels
    for wrong in (1, 3, 12):
        split = make(12, wrong)
        assert torch.equal(split.labeled, plain.labeled) and torch.equal(split.unlabeled, plain.unlabeled)
        assert set(split.mislabeled.tolist()) <= set(split.labeled.tolist()) and len(split.mislabeled) == wrong
        told = taught_labels(labels, split, 4)
        for i in range(40):
            assert told[i] == ((labels[i] + 1) % 4 if i in split.mislabeled.tolist() else labels[i])
    # fewer labels lie inside more, and so do the wrong ones
    assert set(make(4, 2).mislabeled.tolist()) == set(make(12, 2).mislabeled.tolist())
    assert set(make(12, 2).mislabeled.tolist()) < set(make(12, 5).mislabeled.tolist())
    assert len(set(labels[make(12, 4).mislabeled].tolist())) == 4, "one a class before any class has two"


def following(one: Trainer) -> Batch:
    """The next batch of a run."""
    one.stream.draw_ahead()
    return one.stream.next()


def test_training_is_told_the_wrong_class_and_nobody_else_is() -> None:
    wrong, sound = trainer(**{"data.wrong": "3"}), trainer()
    batch, other = following(wrong), following(sound)
    assert torch.equal(batch.x, other.x) and all(torch.equal(a, b) for a, b in zip(batch.u, other.u, strict=True))
    seen = [(batch.y, other.y)] + [(following(wrong).y, following(sound).y) for _ in range(3)]
    told, truth = (torch.cat(part) for part in zip(*seen, strict=True))
    changed = told != truth
    assert changed.sum() == 2 * 3, "20 labels, 40 draws: every image twice"
    assert torch.equal(told[changed], (truth[changed] + 1) % 10)
    assert torch.equal(wrong.images.train_labels, sound.images.train_labels)


def test_more_wrong_labels_than_labels_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"data.wrong must be at most data.labels \(40\), got 41"):
        presets.build("digits-lesson", "flexmatch", {"data.wrong": 41})


def test_a_run_of_before_a_setting_came_keeps_its_key() -> None:
    raw = cfg.to_dict(presets.build("digits-lesson", "flexmatch"))
    key = keys.content_key(raw)
    del raw["data"]["wrong"], raw["method"]["fault"]
    assert keys.content_key(raw) == key
    raw["data"]["wrong"] = 1
    assert keys.content_key(raw) != key


@pytest.mark.parametrize("name", presets.BROKEN)
def test_a_broken_preset_is_the_lesson_with_what_its_title_says(name: str) -> None:
    chosen = presets.PRESETS[name]
    method = chosen.config.method.name
    lesson = {path: value for path, _, value in cfg.walk(presets.build(presets.DEFAULT, method))}
    broken = {path: value for path, _, value in cfg.walk(presets.build(name))}
    assert broken["method.name"] == method and chosen.breaks and chosen.title.startswith("Break it: ")
    changed = {path: broken[path] for path in broken if broken[path] != lesson[path]}
    assert (
        changed
        == {
            "break-no-strong-view": {"data.labels": 10, "augment.preset": "off"},
            "break-tau-zero": {"method.threshold": 0.0},
            "break-lambda-100": {"method.lambda_u": 100.0},
            "break-one-label": {"data.labels": 10},
            "break-wrong-label": {"data.labels": 10, "data.wrong": 1},
            "break-long-tail": {"data.labels": 20, "data.labeled_gamma": 50.0, "data.unlabeled_gamma": 0.02},
            "break-wrong-labels": {"data.wrong_share": 0.3},
            "break-foreign": {"data.labels": 9, "data.foreign_classes": 7},
            "break-mask-by-class": {"method.fault": "mask-by-class-number"},
            "break-mask-rate": {"method.fault": "confidence-as-mask-rate"},
        }[name]
    )


def test_the_presets_stand_in_order() -> None:
    flags = [chosen.breaks for chosen in presets.PRESETS.values()]
    assert flags == sorted(flags) and len({chosen.title for chosen in presets.PRESETS.values()}) == len(flags)
