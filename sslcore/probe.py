"""What a model thinks of a fixed set of images: the content of a keyframe.

The probe is 64 images of the unlabelled pool (of the labelled images where none is left) and 64 test images, with views
drawn once, so that from keyframe to keyframe only the model changes. The raw model is asked, as for pseudo-labels, but in
evaluation mode: a probe image's answer must not depend on the others in its batch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sslcore.augment.views import strong_view, weak_view
from sslcore.config import FixMatchConfig, MixMatchConfig, RunConfig
from sslcore.data.image_set import ImageSet
from sslcore.data.splits import Split
from sslcore.evaluate import Evaluation, predict_logits
from sslcore.keyframes import Arrays
from sslcore.methods import Method
from sslcore.methods.flexmatch import FlexMatch
from sslcore.methods.mixmatch import sharpen
from sslcore.rng import Generators

SIZE = 64
BINS = 20


class Probe:
    """The fixed probe images of one run and their views."""

    def __init__(self, images: ImageSet, split: Split, config: RunConfig, generators: Generators) -> None:
        generator = generators["probe"]
        device = generator.device
        pool = (split.unlabeled if len(split.unlabeled) else split.labeled).to(device)  # with every label known, these
        self.unlabeled_index = pool[torch.randperm(len(pool), generator=generator, device=device)[:SIZE]]
        self.test_index = torch.randperm(len(images.test_labels), generator=generator, device=device)[:SIZE]
        raw = images.train_images[self.unlabeled_index]
        mixmatch = config.method if isinstance(config.method, MixMatchConfig) else MixMatchConfig()  # as it would guess
        self.num_views, self.temperature = mixmatch.views, mixmatch.temperature
        self.weak = [weak_view(raw, images.flip, generator) for _ in range(self.num_views)]
        self.strong = strong_view(raw, images.flip, config.augment, generator)
        self.images, self.config = images, config
        self.mean, self.std = torch.tensor(images.mean, device=device), torch.tensor(images.std, device=device)

    def constants(self) -> Arrays:
        """Return what is written once: see `keyframes.probe`."""
        return {
            "unlabeled_index": _numpy(self.unlabeled_index),
            "unlabeled_truth": _numpy(self.images.train_labels[self.unlabeled_index]),
            "test_index": _numpy(self.test_index),
            "test_truth": _numpy(self.images.test_labels).astype(np.int16),
            "weak_images": _numpy(self.weak[0]),
            "strong_images": _numpy(self.strong),
            "more_weak_images": _numpy(torch.stack(self.weak, dim=1)[:, 1:]),
        }

    def frame(self, model: nn.Module, method: Method, test: Evaluation | None) -> Arrays:
        """Return one keyframe.

        weak_probs, strong_probs (64, C); view_probs (64, K, C); guess (64, C): their mean, sharpened with T; pseudo (64,);
        mask (64,) 1 = kept by the present threshold; threshold (C,); count (C + 1,), last = no confident class yet; view_lse
        (64, K), strong_lse (64,): log sum exp of the logits, so that logits = log(probs) + lse; and of the evaluated (EMA)
        model on the test set: test_pred (M,) uint8 or int16, test_conf (M,) float16 its confidence, confusion (C, C)
        [truth, prediction], hist_right and hist_wrong (20,): test images by confidence in [0, 1]. The test set's are
        missing before the first evaluation.
        """
        stacked = torch.cat([*self.weak, self.strong])
        logits = predict_logits(model, stacked, self.mean, self.std)
        probs = logits.softmax(dim=1)
        *views, strong = probs.split(len(self.strong))
        *view_lse, strong_lse = logits.logsumexp(dim=1).split(len(self.strong))
        view_probs = torch.stack(views, dim=1)
        confidence, pseudo = views[0].max(dim=1)
        threshold, count = _thresholds(method, probs.shape[1])
        kept = confidence >= threshold.to(confidence.device)[pseudo]
        if isinstance(method, FlexMatch):
            kept = method.keep(confidence, pseudo)  # a fault on purpose shows here too
        frame = {
            "weak_probs": _numpy(views[0]),
            "strong_probs": _numpy(strong),
            "view_probs": _numpy(view_probs),
            "view_lse": _numpy(torch.stack(view_lse, dim=1)),
            "strong_lse": _numpy(strong_lse),
            "guess": _numpy(sharpen(view_probs.mean(dim=1), self.temperature)),
            "pseudo": _numpy(pseudo).astype(np.int16),
            "mask": _numpy(kept).astype(np.uint8),
            "threshold": _numpy(threshold),
            "count": _numpy(count),
        }
        return frame | (_test_arrays(test) if test else {})


def _thresholds(method: Method, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return the thresholds in force (C,) and FlexMatch's counts (C + 1,). Supervised and MixMatch keep everything: 0."""
    if isinstance(method, FlexMatch):
        counts = method.counts()
        return method.thresholds(counts), counts
    fixed = method.config.threshold if isinstance(method.config, FixMatchConfig) else 0.0
    return torch.full((num_classes,), fixed), torch.zeros(num_classes + 1)


def _test_arrays(test: Evaluation) -> Arrays:
    confidence, predicted = test.probs.max(dim=1)
    classes = test.probs.shape[1]
    flat = torch.bincount(test.labels * classes + predicted, minlength=classes * classes)
    right = _numpy(predicted == test.labels)
    scores = _numpy(confidence)
    return {
        "test_pred": _numpy(predicted).astype(np.uint8 if classes <= 256 else np.int16),
        "test_conf": scores.astype(np.float16),
        "confusion": _numpy(flat.view(classes, classes)).astype(np.int32),
        "hist_right": np.histogram(scores[right], BINS, (0.0, 1.0))[0].astype(np.int32),
        "hist_wrong": np.histogram(scores[~right], BINS, (0.0, 1.0))[0].astype(np.int32),
    }


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
