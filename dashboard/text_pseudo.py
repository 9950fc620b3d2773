"""The words of the Pseudo-labels page. No streamlit."""

from __future__ import annotations

from dashboard import text

TITLE = "Pseudo-labels"
INTRO = (
    "How a guess about an unlabelled image becomes something to learn from. Every number is real: the model's own, "
    "at the step that the slider shows. Nothing here trains or changes the run."
)
EMPTY = "There is no run yet. Train one first: ten seconds are enough, and this page can follow it live."
NO_FRAMES = {
    True: "The first keyframe appears in a moment, before the first step.",
    False: "This run has no keyframe: it ended before its first step, or its files are gone.",
}
GONE = "This keyframe was removed a moment ago. Move the slider."
EXHIBITS = {"xray": "X-ray of one image", "sandbox": "Threshold sandbox"}
EXHIBIT_TEXT = {
    "xray": "One image through the whole step. Look for what the method's box makes of an unsure guess: switch the method and only that "
    "box, and what follows from it, changes.",
    "sandbox": "Frozen predictions, and a threshold that you can move. Look for the trade-off: a lower one keeps more guesses (coverage), "
    "but more of them are wrong (purity).",
}
STEP_HELP = "The right end follows the newest keyframe while the run trains. Keyframes are written at every evaluation."

SOURCES = {"probe": "64 probe images", "pool": "Whole pool"}
SOURCE_HELP = (
    "The 64 probe images were recorded during the run, at every keyframe. Any other image of the unlabelled pool can be looked at "
    "with a kept checkpoint: there are up to eight of these, plus the last one."
)
UNSURE = "Least sure"
UNSURE_HELP = "Show the probe image whose weak view gets the lowest confidence at this step."
NO_CHECKPOINT = "This run has no checkpoint yet, so only the probe images can be shown."
NO_POOL = "This run has no unlabelled pool: every training image has its label. The probe images are shown."
STRIP = "Framed: kept by the gate below. Faded: not kept. With the truth shown, a tick on a disc is right, a cross on a square wrong."
POOL_STRIP = "Images of the unlabelled pool, 64 at a time, as they are in the data set."
REVEAL_HELP = "The hidden label, for your eyes only: no method ever sees it. Guess first."
DRAW_HELP = "Another number draws other weak and strong views of the same image."

WEAK = "1 · Weak view"
WEAK_TEXT = "A small shift, a flip where it keeps the class."
LOGITS = "2 · Logits"
LOGITS_HELP = r"The raw scores $z$ of the network, one per class. Any real numbers; only differences matter."
LOGITS_TEXT = "The network's raw scores."
LOGITS_SHIFTED = "Raw scores up to a constant: this keyframe holds probabilities only, so their mean is set to 0."
SOFTMAX = "3 · Softmax"
SOFTMAX_HELP = r"$p_c = e^{z_c} / \sum_j e^{z_j}$: positive numbers that add up to 1. The largest is the confidence."
SOFTMAX_TEXT = "The same as probabilities."
BOX = "4 · The method's box"
BOX_TEXT = {
    "mixmatch": "MixMatch averages the predictions of K weak views, then sharpens: the guess becomes surer than the model. It keeps every guess.",
    "fixmatch": "FixMatch asks: is the confidence at least tau? If so the class becomes a hard label, else the image is left out.",
    "flexmatch": "FlexMatch asks the same with a threshold for each class, low while the class is hard. Lines: the thresholds.",
}
TARGET = "5 · Target"
TARGET_TEXT = {
    "soft": "A soft label: the sharpened guess.",
    "hard": "A hard label: all weight on the guess.",
    "none": "None: the image is left out of this step.",
}
SECOND = {"strong": "6 · Strong view", "weak": "6 · The weak views again"}
SECOND_TEXT = {
    "strong": "RandAugment and a cut-out square: the same image made hard. It must agree with the target.",
    "weak": "MixMatch has no strong view. It mixes these with other images (MixUp); here they are unmixed.",
}
PREDICTION = "7 · Its prediction"
PREDICTION_TEXT = {
    "strong": "Bars: the network on the strong view. Dashed: the target.",
    "weak": "Bars: the network on the first weak view. Dashed: the target.",
}
LOSS = "8 · Loss of this image"
LOSS_TEXT = {
    "mixmatch": "Squared distance, averaged over classes and views; its mean over all images is loss_u.",
    "gate": "Cross-entropy, 0 if the image is left out; its mean over all images, kept or not, is loss_u.",
}
ENTROPY_HELP = r"$H = -\sum_c p_c \ln p_c$ in nats: 0 = certain, $\ln C$ = no idea. Sharpening lowers it; T = 1 changes nothing, T = 0 leaves only the argmax."
T_HELP = r"Sharpening temperature: $q_c \propto \bar p_c^{1/T}$. 1 changes nothing; towards 0 only the largest is left."
K_HELP = (
    "Weak views whose predictions are averaged. At keyframes as many as the run recorded, at checkpoints up to eight."
)
TAU_HELP = "The confidence a guess must reach to count as sure."
MAPPING_HELP = r"From learning status $\beta$ to threshold: convex $\beta/(2-\beta)$, linear $\beta$, concave $\ln(1+\beta)/\ln 2$."
WARMUP_HELP = "Count the images without a confident class yet as one more class: the thresholds then stay low until many are sure."
STATUS = {
    "recorded": "Learning status: as this run had recorded it by then, for its whole pool.",
    "counted": "Learning status: counted from these predictions, as if each were recorded once.",
    "probe": "Learning status: counted from the 64 probe images, since this run keeps no record.",
}
OWN = {
    "supervised": "This run is Supervised: it learns nothing from these images. This page shows what each method would make of them.",
    "mixmatch": "This run is MixMatch.",
    "fixmatch": "This run is FixMatch.",
    "flexmatch": "This run is FlexMatch.",
}
ALL_LABELLED = (
    "Every training image of this run has its label, so the images here are labelled ones that it is trained on."
)

POPULATION = {"probe": "{} images", "test": "Test images"}
POPULATION_HELP = (
    "Unlabelled: the 64 probe images, weak views, the raw weights: what the method itself sees. "
    "Test: many more images, unaugmented, the averaged weights: smoother, and a little surer."
)
ONLY_PROBE = "This keyframe holds no confidences of the test set; the 64 probe images are used."
GATES = {"fixmatch": "One threshold", "flexmatch": "FlexMatch", "hand": "By hand"}
GATE_HELP = "FixMatch's single tau; FlexMatch's class thresholds from the learning status; or your own threshold for each class."
STATUS_HELP = "Recorded: sigma as the run had counted it. Counted: sigma from the frozen predictions themselves, which follows tau."
STATUS_NAMES = {"recorded": "Recorded by the run", "counted": "Counted here"}
TILE_HELP = {
    "coverage": "Share of these images whose guess is kept: the mask rate.",
    "purity": "Share of the kept guesses that are right, by the hidden labels.",
    "wrong": "Share of guesses that are kept and wrong, times the size of the unlabelled pool. The interval below shows how uncertain this is.",
    "kept": "Kept guesses, out of all that are frozen here.",
}
AS_OWN = "as the run's own"
POINTS = "Points: the difference from the run's own gate."
CHARTS = {
    "histogram": ("Confidence", "How sure the model is, right and wrong. Hatched: wrong. Faint: not kept."),
    "classes": ("Accepted by class", "The guesses for each class: kept and right, kept and wrong (hatched), not kept. Number and line: its threshold."),
    "trade": ("Every single threshold", "Coverage and purity if one threshold held for all classes."),
}  # fmt: skip
MOVABLE = " Line: tau; a click moves it."
CHART_ALT = {
    "histogram": "Histogram of the confidences, right and wrong guesses stacked, with the threshold as a line",
    "classes": "Stacked bars of the kept and dropped guesses of each class, with each class's threshold",
    "trade": "Line chart of coverage and purity against a single threshold",
}


def cell(word: str) -> str:
    """Return a typed word for a table that may be saved as CSV: no formula for a spreadsheet."""
    return "'" + word if word[:1] in ("=", "+", "-", "@", "\t", "\r") else word


def shown_at(step: int, newest: bool, steps: int) -> str:
    return f"Shown: step **{text.number(step)}** of {text.number(steps)}" + (", the newest" if newest else "")


def interval(low: float, high: float, pool: int, images: int) -> str:
    between = f"{text.number(round(low))} to {text.number(round(high))}"
    return f"Wrong labels in the pool of {text.number(pool)}, 95 % interval: {between}, estimated from {text.plural(images, 'image')}."


def points(value: float | None, own: float | None) -> str | None:
    """Write how far a share is from the run's own, in percentage points."""
    if value is None or own is None:
        return None
    return AS_OWN if abs(value - own) < 5e-4 else f"{100 * (value - own):+.1f} points"
