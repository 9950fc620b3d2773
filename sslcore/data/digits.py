"""The embedded data set: scikit-learn's 1,797 real handwritten digits, which need no network.

Test part of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998): 8 x 8 pixels with
17 grey levels, enlarged here to 16 x 16. 36 images of each class are the test part, fixed for all time. scikit-learn is
imported only where the images are first read; afterwards they come from the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sslcore.data import cache
from sslcore.data.image_set import ImageSet, Progress, build
from sslcore.data.splits import hold_out

SIDE = 16  # pixels
TEST_PER_CLASS = 36
CACHE_NAME = "digits-1"


def load(progress: Progress | None = None) -> ImageSet:
    """Return the digits: (1437, 16, 16, 1) for training, (360, 16, 16, 1) for testing; never mirrored by default."""
    kept = cache.load(CACHE_NAME, ("images", "labels"))
    if kept is None or kept["images"].shape != (1797, SIDE, SIDE, 1) or kept["images"].dtype != np.uint8:
        kept = _read()
        cache.save(CACHE_NAME, kept)  # where it can't be kept, reading again costs a second: not worth a word
    images, labels = kept["images"], kept["labels"].astype(np.int64)
    is_test = hold_out([f"digit {position}" for position in range(len(labels))], labels, [TEST_PER_CLASS] * 10)
    train, test = (
        (torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen])) for chosen in (~is_test, is_test)
    )
    return build(
        source="digits",
        title=f"Digits (scikit-learn, real 8 x 8 scans enlarged to {SIDE} x {SIDE})",
        train=train,
        test=test,
        class_names=tuple("0123456789"),
        flip=False,
        notes=(
            f"The scans have 8 x 8 pixels; they were enlarged to {SIDE} x {SIDE}.",
            f"{TEST_PER_CLASS} images of each digit are held out for testing, the same ones in every run.",
        ),
    )


def _read() -> dict[str, NDArray[Any]]:
    from sklearn.datasets import load_digits  # slow to import, and needed once

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), 0 to 16 -> 0 to 255
    large = [np.asarray(Image.fromarray(scan).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for scan in grey]
    return {"images": np.stack(large)[..., None], "labels": bunch.target.astype(np.int64)}
