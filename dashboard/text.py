"""The words a person reads, and how numbers are written, in one place. No streamlit.

`escape` makes a text that somebody typed (run, class and folder names) safe inside markdown; `plotly_safe` inside a chart.
"""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Sequence

PAGES = {
    "train": "Start a run and watch it learn.",
    "augment": "See how a picture is changed before a network sees it.",
    "pseudo": "X-ray one unlabelled image; move the threshold and see what is kept.",
    "time": "Go back to any moment of a run.",
    "curves": "How many labels are enough? Accuracy against their number, method by method.",
    "images": "Your own images: a folder or a zip, what to check in them, which ones start out labelled.",
    "runs": "Every run: compare, steer, name, save, delete.",
    "guide": "Ten minutes through all of it, and what can go wrong.",
}
WRONG_FOLDER = (
    "Streamlit was started in another folder and has not read this program's settings (.streamlit/config.toml), so charts may not show "
    "and it may accept connections from the whole network. Stop it, go to the folder of SSL Lab and start it there: `streamlit run dashboard/app.py`."
)
GONE = "There is no run {} in this folder: it was deleted, or the address belongs to another lab. Another run is shown."
METHODS = {"supervised": "Supervised", "mixmatch": "MixMatch", "fixmatch": "FixMatch", "flexmatch": "FlexMatch"}
METHOD_HELP = (
    "Supervised learns from the labelled images alone. MixMatch averages and sharpens its guesses for the others and mixes images. "
    "FixMatch keeps a guess only above a fixed confidence and asks a distorted view to agree. FlexMatch gives each class its own threshold."
)
FAULTS = {
    "mask-by-class-number": "the mask looks up the confidence by class number, as a tutorial does",
    "confidence-as-mask-rate": "the curve called mask rate is the mean confidence, as in a tutorial",
}
DATA = {
    "digits": "Digits", "shapes": "Shapes", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "svhn": "SVHN", "stl10": "STL-10",
    "fashion_mnist": "Fashion-MNIST", "folder": "My own folder",
}  # fmt: skip
DATA_HELP = {
    "digits": "1,797 real handwritten digits (8 x 8 scans, shown enlarged). Part of scikit-learn: works at once, offline.",
    "shapes": "6,000 colour drawings of ten things (fish, trees, boats, ...), 32 x 32. Drawn on first use in seconds: works offline.",
    "cifar10": "60,000 small colour photographs in ten classes. Downloaded on first use (170 MB).",
    "cifar100": "60,000 small colour photographs in a hundred classes. Downloaded on first use (170 MB).",
    "svhn": "99,289 digits cut out of photographed house numbers; never mirrored. Downloaded on first use (250 MB).",
    "stl10": "5,000 labelled photographs of 96 x 96, 100,000 truly unlabelled ones and 8,000 to test on. Downloaded on first use (2.6 GB).",
    "fashion_mnist": "70,000 grey pictures of clothes in ten classes, bordered to 32 x 32. Downloaded on first use (30 MB).",
    "folder": "A folder with train/<class>/ and, if you have them, train/unlabeled/ and test/<class>/; or just <class>/.",
}
TUNED = "This preset was tuned on other images ({}). For these, begin with the preset **{}**."
HAND_EMPTY = "3,17,204"
DEVICES = {"auto": "Automatic", "cpu": "CPU", "cuda": "NVIDIA GPU", "mps": "Apple GPU"}

START_HELP = "Train a new run with the settings on the left. While another run trains, it waits its turn."
BUTTONS = {  # label, icon, help
    "pause": ("Pause", ":material/pause:", "Save a checkpoint and free the machine"),
    "resume": ("Resume", ":material/resume:", "Go on exactly where it was"),
    "step": ("Step", ":material/skip_next:", "Take one step and pause again"),
    "stop": ("Stop", ":material/stop:", "Save a checkpoint and end; it can be resumed"),
}

QUEUE_MORE = "and {:,} more; the Runs page lists them, and the Label curves page pauses a whole sweep"
STEPS_HELP = "How many steps a press of Step takes before the run pauses again"
CHANGE_HELP = "Change a setting of this run while it trains"
CHANGE_TITLE = "Change while it trains"
CHANGE_RUNNING = "Takes effect at the next step, which every chart marks. From then on no sweep counts this run."
CHANGE_NOTHING = "Nothing was changed: the run has these values already."
CHANGE_RESTING = "Takes effect with the first step after Resume or Step, and is marked on every chart."
ESTIMATE_ALIKE = "About **{}** on this machine, judging by your last run of this kind."
ESTIMATE_SCALED = "About **{}** on this machine, scaled from a {} run by the number of images per step."
COMPILING = "The net is compiled before its first step, which takes half a minute or more."
COMPILED = "The net is compiled: the first step took {}, compiling included."
ESTIMATE_NONE = "How long it takes isn't known yet: nothing like it has been trained on this machine. An estimate appears some seconds after Start."
REFUSED = "{}. It came with the address; **{}** is used instead, and everything else is as the address says."

ASK_STOP = (
    "It may be somebody else's: it was started before this page was last loaded, in another tab or from the command line. "
    "Stopped, it keeps a checkpoint and can be resumed."
)
ASK_STOP_SOME = (
    "Some of these may be somebody else's: started before this page was last loaded, in another tab or from the command line. "
    "Stopped, they keep a checkpoint and can be resumed."
)
STATE_LINES = {
    "queued": "This run waits for the one before it: on one machine, runs train one after the other.",
    "queued_dead": "This run was waiting when the program that started it ended. Resume puts it in this program's queue.",
    "weightless": "Imported without its weights: it can be looked at on every page, but not resumed.",
    "running": "",
    "pausing": "Finishing the current step and writing a checkpoint.",
    "paused": "Paused with a checkpoint: Resume goes on exactly where it was, Step takes one step.",
    "stopping": "Finishing the current step and writing a checkpoint.",
    "stopped": "Stopped before its end, with a checkpoint: Resume goes on where it was.",
    "failed": "This run failed and has stopped training. Once the cause is fixed, Resume goes on from its last checkpoint.",
    "diverged": "The numbers were no longer finite, so training was stopped; the last good checkpoint is kept. Try a smaller learning rate.",
    "interrupted": "The program that trained this run ended before the run did. Resume goes on from its last checkpoint.",
}

EMPTY_TITLE = "Nothing has been trained here yet"
EMPTY_TEXT = (
    "Press **Start**: a network learns from a handful of labelled images, at first handwritten digits, "
    "and you watch how it teaches itself with the images that have none."
)
EMPTY_ITEMS = (
    (
        ":material/show_chart:",
        "Losses and accuracy",
        "what the model learns from the labelled images, and from its own guesses",
    ),
    (
        ":material/filter_alt:",
        "Mask rate and purity",
        "how many guesses are confident enough to learn from, and how many of those are right",
    ),
    (
        ":material/equalizer:",
        "A threshold for each class",
        "FlexMatch asks less confidence of the classes that are hard to learn",
    ),
    (
        ":material/grid_view:",
        "The images themselves",
        "weak view, distorted view, the guessed label, kept or not, right or wrong",
    ),
)

CHARTS = {
    "loss": (
        "Losses",
        "Total = labelled + weight x unlabelled. The unlabelled loss may rise while the mask opens: more images count.",
    ),
    "loss/mixmatch": (
        "Losses",
        "Total = labelled + weight x unlabelled. The unlabelled loss is a squared error, hence small; mixed labels keep the labelled loss above 0.",
    ),
    "loss/supervised": (
        "Loss",
        "Cross-entropy on the labelled images. It soon reaches 0: they are learnt by heart, which is not the goal.",
    ),
    "accuracy": (
        "Accuracy",
        "Test images, by the averaged weights (EMA) and by the raw ones; dashed: the labelled images, soon learnt by heart.",
    ),
    "parts": (
        "Loss on each part",
        "Cross-entropy without augmentation. It may rise while the accuracy still grows, as a few mistakes are made with more confidence.",
    ),
    "coverage": (
        "Coverage against purity",
        "Right: more guesses kept; up: more of the kept are right. A good run ends in the upper right corner; one that sinks believes its own errors.",
    ),
    "numbers": (
        "Train, validation and test",
        "The last evaluation, without augmentation. EMA: the averaged weights. Top-5: the right class is among the five likeliest.",
    ),
    "guess": (
        "MixMatch's guesses, before and after sharpening",
        "Outline: the mean over the weak views; filled: sharpened, what MixMatch trains towards. Numbers: the entropy of both, 0 = sure. "
        "The first images of the gallery above.",
    ),
    "confusion": (
        "Confusion matrix",
        "Test images: row = truth, column = prediction, colour = share of the row. Click a cell to see its images.",
    ),
    "mask/fixmatch": (
        "Mask rate and purity",
        "Share of guesses kept, and share of the kept that are right. If purity falls while the mask opens, the model believes its own errors.",
    ),
    "mask/flexmatch": (
        "Mask rate and purity",
        "Starts at 100 % by design: every threshold is 0 until classes are learnt. Then: kept, and right among the kept.",
    ),
    "mask/mixmatch": (
        "The guesses",
        "MixMatch keeps every guess. Purity: share that is right; confidence: how sure the model is of them.",
    ),
    "threshold": (
        "Class thresholds",
        "FlexMatch's threshold for each class over time. A class that lags gets a lower one and so more examples.",
    ),
    "lanes": (
        "Thresholds now",
        "Bar: the threshold a class has at the moment. Line: the fixed tau that FixMatch would ask of all.",
    ),
    "pseudo": (
        "Kept pseudo-labels by class",
        "How often each class has been the pseudo-label lately. Even bars: the classes grow together.",
    ),
    "recall": (
        "Recall of each class",
        "Share of a class's test images that the model gets right. Line: the mean, called balanced accuracy; with even classes it equals the accuracy.",
    ),
}
CHART_ALT = {
    "loss": "Line chart of the training losses over the steps",
    "accuracy": "Line chart of the accuracies over the steps, in percent",
    "parts": "Line chart of the losses on test, validation and labelled images over the steps",
    "guess": "Bar charts of the class probabilities of six unlabelled images, before and after sharpening",
    "confusion": "Confusion matrix of the test images: rows are the true classes, columns the predicted ones",
    "coverage": "Path of purity over mask rate during the run, its newest point marked",
    "mask": "Line chart of mask rate, purity and confidence of the pseudo-labels over the steps, in percent",
    "threshold": "Line chart of FlexMatch's threshold of each class over the steps",
    "lanes": "Bar chart of FlexMatch's present threshold of each class, with the fixed threshold as a line",
    "pseudo": "Bar chart of the kept pseudo-labels of each class",
    "recall": "Bar chart of the share of each class's test images that the model gets right, their mean as a line",
}
CHOOSE_CLASSES = "the five lowest and the five highest"
CHOOSE_CLASSES_HELP = "Type to search. Colours repeat after ten classes; the dashes and the names tell them apart."
TILE_HELP = {
    "test": "Share of the test images that the averaged weights (EMA) get right. Never used to choose anything.",
    "raw": "The same with the weights as they are at this step, without averaging.",
    "mask": "Share of the unlabelled images whose guess is confident enough to be kept in this step.",
    "purity": "Share of the kept guesses that are right. Uses the hidden labels: a look behind the scenes, never part of training.",
    "confidence": "Largest class probability of the guess, on average.",
    "loss": "Total loss: labelled + weight x unlabelled.",
    "labeled": "Share of the labelled images that the averaged weights get right.",
}
NOTHING_MEASURED = "Nothing was measured"
FIRST_ACCURACY = "first at step {}"
SHEET_TITLE = "{} images, as the model sees them"  # Unlabelled, or Labelled where every image of the run has its label
SHEET_TEXT = {
    "flexmatch": "Top: weak view, from which the label is guessed. Below: strong view, which must agree. Bar: confidence; tick: the class's threshold.",
    "fixmatch": "Top: weak view, from which the label is guessed. Below: strong view, which must agree. Bar: confidence; tick: the threshold tau.",
    "mixmatch": "Top: a weak view. Below: a strong view, which MixMatch doesn't train on. Bar: confidence before sharpening; MixMatch keeps every guess.",
    "supervised": "Supervised learns nothing from these images; this is what it would guess. Top: weak view, below: strong view.",
    "labelled": "Every image of this run has its label, so it learns from these. Top: weak view, below: strong view.",
}
SHEET_KEY = "Disc with tick: right. Square with cross: wrong (the hidden label, for your eyes only). Framed: kept. Faded: not kept, not learnt from."
PARTS = {"train": "Labelled (train)", "val": "Validation", "test": "Test"}
CELL_TITLE = "Images of one cell"
CELL_TEXT = "Click a cell of the matrix, or choose it here: test images of one class and what they are taken for."
SHARPEN_HELP = "p_c^(1/T) / sum of p_k^(1/T): with T below 1 the likeliest class gains, so the guess says more clearly what it already leans towards."
SHEET_WAIT = "The images appear with the first evaluation."

RUNS_TEXT = "Every run in this folder, including those started from the command line. Tick some to see their curves in the same charts and what differs."
RUNS_EMPTY = "There is no run yet. The Train page starts one with a single click."
RUNS_PICK = "Tick a row to see its curves, steer, name, save or delete it; two or more are compared."
RUNS_NONE_FIT = "No run matches the filters above."
RUNS_MORE = "{:,} of {:,} runs are listed: show more"
RUNS_ALT = "Table of all runs with state, method, data, labels, seed, progress, accuracies and time"
BEST_HELP = "Test accuracy of the weights that were best on the validation part, where the run has one."
TIME_HELP = "Training time, evaluation included."
SEARCH_HELP = "Words that must appear in a run's name, id, note, method or data."
COMPARE_TEXT = (
    "The same measurement of each run. One run of each method has the method's colour; dash and label tell all of them apart, too. "
    "One seed is one draw of luck: compare several."
)
COMPARE_MOST = "The first %d of the selection are drawn."
OVER_HELP = "Same number of steps, same training time, or same number of images through the net: what is fair depends on the question."
SETTINGS_SAME = "These runs have the same settings."
SETTINGS_PRESET = "Exactly the settings of its preset."
SETTINGS_ALONE = "One run is selected; tick another to see where their settings differ."
SAVE_REPORT_HELP = (
    "One self-contained page with charts, results and settings, to mail or print; several runs (up to %d) side by side."
)
SAVE_ZIP_HELP = "Settings, split, curves, events, pictures, weights and versions in one file: Import reads it on any machine. One run at a time."
SAVE_CSV_HELP = "Every logged point, not thinned. One run at a time."
IMPORT_TEXT = "A run that was saved as a zip, here or on another machine. Up to %d MB; `python -m sslcore import FILE` takes larger ones."
RESUME_HOW = "Press Resume above, or type `python -m sslcore resume %s`."


SETTINGS = {  # the names that don't read well as they are; short: two stand beside each other in the sidebar
    "alpha": "alpha", "bn_momentum": "BN momentum", "ema_decay": "EMA decay", "ema_warmup": "EMA warm-up", "evals": "Evaluations",
    "graph": "CUDA graph", "hand": "By hand", "include_labeled": "Labelled too", "labeled_gamma": "Labelled tail", "lambda_u": "lambda_u",
    "lr": "Learning rate", "mu": "mu", "net": "Network", "num_ops": "Operations N", "op_prob": "Probability p", "pick": "Picked",
    "tensorboard": "TensorBoard", "unlabeled_gamma": "Unlabelled tail", "val": "Validation", "views": "Views K", "wrong": "Wrong labels",
}  # fmt: skip


def setting_name(path: str) -> str:
    """Name of a setting for a person: "Threshold" for `method.threshold`, "Learning rate" for `optim.lr`."""
    name = path.rpartition(".")[2]
    return SETTINGS.get(name, name.replace("_", " ").capitalize())


def step_of(kind: type, value: float | None) -> float:
    """What a press of + adds: a whole number, or the size of the value's first digit."""
    if kind is int:
        return max(1, 10 ** int(math.log10(max(int(value or 0), 1))) // 2) if (value or 0) >= 100 else 1
    return 0.05 if not value or 0.1 <= value <= 1 else 10.0 ** math.floor(math.log10(value))


def escape(text: str) -> str:
    """Return markdown that shows the text as it was typed: no link, no HTML, no formula, no icon, on one line."""
    flat = re.sub(r"\s+", " ", text)
    # Addresses become links even when every sign is escaped; an invisible word joiner prevents it.
    flat = re.sub(r"(:(?=//)|www(?=\.)|@)", "\\1\u2060", flat, flags=re.IGNORECASE)
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:&@/])", r"\\\1", flat)


def plotly_safe(text: str) -> str:
    """Return the text for a chart, where tags would be formatting."""
    return html.escape(text, quote=False)


def shorten(text: str, most: int = 60) -> str:
    """Cut the middle out of a long text: both ends of a path matter."""
    return text if len(text) <= most else text[: most // 2 - 1] + "…" + text[-(most // 2) :]


def told_apart(names: Sequence[str], start: int = 8, end: int = 0) -> list[str]:
    """Return names that a narrow column may cut to their first and last letters: those that then look alike begin with the number of their class."""
    seen = [(name[:start], name[-end:] if end else "") if len(name) > start + end else (name,) for name in names]
    often = Counter(seen)
    return [f"{c}: {name}" if often[key] > 1 else name for c, (name, key) in enumerate(zip(names, seen, strict=True))]


def data_name(source: str) -> str:
    """Name of a data source: "Digits", or the last part of a folder's path."""
    if source.startswith("folder:"):
        return "folder " + shorten(
            source.removeprefix("folder:").rstrip("/\\").replace("\\", "/").rpartition("/")[2], 40
        )
    return DATA.get(source, source)


def percent(value: float | None, digits: int = 1) -> str | None:
    """Write a fraction as percent; None where there is no value."""
    return None if value is None or value != value else f"{100 * value:.{digits}f} %"


def loss(value: float) -> str:
    """Write a loss: 0.165, 12.400; one that grows without bound as 9.3e+19."""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.1e}"


def duration(seconds: float) -> str:
    """Write a time: 4.2 s, 38 s, 2 min 05 s, 3 h 12 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 3570:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest:02d} s"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {rest:02d} min"


def number(value: float) -> str:
    """Write a count in groups of three: 12,345; a rate loses the digits that mean nothing."""
    if isinstance(value, float) and value >= 1000:
        value = round(value, -2 if value >= 10_000 else -1)
    return f"{round(value):,}"


def runs_more(most: int, count: int) -> str:
    """Words on the button for the runs that are not drawn yet; empty where all are."""
    return RUNS_MORE.format(most, count) if count > most else ""


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
