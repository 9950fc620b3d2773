"""The words of the time machine and of the fork, in one place. No streamlit."""

from __future__ import annotations

from dashboard.text import number

TITLE = "Time machine"
ABOUT = (
    "Every so often a run keeps what its model thought of the same images: a keyframe. Move the slider, or play, and everything on this page shows "
    "that moment: look for images whose guessed class changes, and for wrong guesses that are kept."
)
EMPTY = "There is no run yet. The Train page starts one with a single click; its moments can be visited here, even while it trains."
NO_KEYFRAME = (
    "This run has no keyframe, so there is nothing to travel through: the first is written when its training begins."
)

STEP = "Step"
BUTTONS = {  # label, icon, help
    "previous": ("Previous", ":material/skip_previous:", "The keyframe before"),
    "next": ("Next", ":material/skip_next:", "The keyframe after"),
    "play1": ("Play x1", ":material/play_arrow:", "One keyframe per second; from the start if it is at the end"),
    "play4": (
        "Play x4",
        ":material/fast_forward:",
        "Four keyframes per second; from the start if it is at the end",
    ),
    "pause": ("Pause", ":material/pause:", "Stop playing"),
}
LIVE = "LIVE"
LIVE_HELP = "Go to the newest keyframe and follow it while training goes on."
END = "End"
END_HELP = "Go to the last keyframe."

CHARTS = {
    "loss": ("Losses", "The line is the moment shown."),
    "accuracy": ("Accuracy", "Test images, averaged (EMA) and raw weights."),
    "mask": ("Mask rate and purity", "Share of guesses kept, and share of the kept that are right."),
    "mask/mixmatch": ("The guesses", "MixMatch keeps every guess; purity is the share that is right."),
    "lanes": ("Class thresholds", "Bar: what FlexMatch asks of a class at this moment. Line: the fixed tau."),
    "pseudo": (
        "Kept guesses by class",
        "Share of each class among the kept guesses of the probe. Even bars: no class is left out.",
    ),
    "confusion": (
        "Confusion matrix",
        "Test images: row = truth, column = prediction. A clean diagonal is a good model.",
    ),
    "histogram": ("Confidence", "Test images by confidence: wrong ones on the far right are confident errors."),
}
ALT = {
    "loss": "Line chart of the training losses over the steps, with a line at the step shown",
    "accuracy": "Line chart of the accuracies over the steps, with a line at the step shown",
    "mask": "Line chart of mask rate, purity and confidence over the steps, with a line at the step shown",
    "lanes": "Bar chart of FlexMatch's threshold of each class at the step shown",
    "pseudo": "Bar chart of the classes among the kept guesses at the step shown",
    "confusion": "Confusion matrix of the test images at the step shown: truth by prediction",
    "histogram": "Histogram of the test images by confidence at the step shown, right and wrong ones",
    "ribbon": "Bars from keyframe to keyframe: the class that the model takes this image for, and its confidence",
}
NO_TEST = "Not evaluated at this step"
SHEET = "The same eight {} images"  # unlabelled, or labelled where every image of the run has its label

BIOGRAPHY = "Biography of an image"
BIOGRAPHY_PLAIN = "Pick an image. Each bar is a keyframe: its colour and name say what the model took the image for, its height how sure it was."
BIOGRAPHY_TEXT = f"{BIOGRAPHY_PLAIN} Faint and hatched: not kept. Dotted: the threshold it had to pass."
LISTS = {"all": "All", "wrong": "Wrong for ever", "flips": "Flip-floppers", "late": "Late bloomers"}
LIST_HELP = {
    "all": "All images of the probe, as they stand at the step shown. Tick: right. Cross: wrong. Framed: kept. Faded: not kept.",
    "wrong": (
        "Kept at the newest keyframe, and wrong there and at every one since it was first kept: the model teaches itself its own error "
        "(confirmation bias). Longest first. Step 0, before any training, doesn't count."
    ),
    "wrong/supervised": (
        "Wrong at every keyframe since training began: the few labels never taught the model better. Supervised learns nothing from these images. "
        "Step 0, before any training, doesn't count."
    ),
    "wrong/labelled": "Wrong at every keyframe since training began, though the model is told their labels. Step 0, before any training, doesn't count.",
    "flips": "The guessed class changed at least three times from one keyframe to the next. Most changes first. Step 0 doesn't count.",
    "late": "Right at the newest keyframe, but wrong at one or more in the second half of the steps so far. Latest first.",
}
LIST_EMPTY = {
    "wrong": "No image of the probe is wrong for ever.",
    "flips": "No image of the probe has changed its class three times.",
    "late": "No image of the probe was still wrong in the second half and is right now.",
}
NEVER = {
    False: "never kept",
    True: "never kept once training had begun",
}  # True: before that, at step 0, it was
STRIP_ALT = "Images of the probe to pick from, each with its state at the step shown"

FORK = "Fork"
FORK_HELP = "A new run that goes on from the checkpoint nearest to this step, with one or more settings changed."
NO_FORK = "No checkpoint has been kept yet, so nothing can be forked."
FORK_TITLE = "Fork this run"
FORK_TEXT = (
    "The new run repeats this one up to a kept checkpoint and goes on from there with your settings, from the very same weights and random numbers. "
    "With nothing changed it gives the very same numbers."
)
FORK_FROM = "From the checkpoint at step"
FORK_FROM_HELP = "Checkpoints are kept at a handful of steps along the way, and at the newest one."
FORK_START = "Start the fork"
FORK_KNOBS = (
    "train.steps",
    "augment.preset",
    "augment.strength",
    "optim.weight_decay",
)  # beside those that can change in a running run


def size(count: int) -> str:
    """Write a number of bytes: 830 bytes, 41 kB, 3.2 MB, 1.5 GB."""
    if count < 1000:
        return f"{count} bytes"
    power = 1 if count < 999_500 else 2 if count < 999_500_000 else 3
    value = count / 1000**power
    return f"{value:.{0 if value >= 99.5 or power == 1 else 1}f} {('kB', 'MB', 'GB')[power - 1]}"


def disk(frames: int, sizes: dict[str, int]) -> str:
    """Say what this run's keyframes and checkpoints cost, and those of all runs."""
    return (
        f"On disk: {number(frames)} keyframe{'s' * (frames != 1)} {size(sizes['keyframes'])}, checkpoints {size(sizes['checkpoints'])}; "
        f"all runs together {size(sizes['all'])}. Deleting a run frees its share."
    )
