"""The words of the Label curves page and of the race, in one place. No streamlit."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard import text
from sslcore import events as ev
from sslcore.sweep import span

TITLE = "Label curves"
ABOUT = (
    "How many labels are enough? Every method is trained with several numbers of labelled images, on the same split and for the same number of steps. "
    "Look at how far to the left a curve reaches the height you need, and whether the gap is larger than the bars."
)
VIEWS = {"curve": "Curve", "classes": "By class", "race": "Race"}

BASE = "Sweep"
BASE_HELP = "A starting point: data, network, schedule, label counts. Everything below can be changed."
METHODS_HELP = "Each is trained at every count with every seed."
COUNTS = "Label counts"
COUNTS_HELP = "Numbers of labelled images, such as 10,20,40. They are nested: the 10 are among the 20. Spread evenly over the classes."
SEEDS = "Seeds"
SEEDS_HELP = "Such as 0-2 or 0,1,2. A seed draws the labelled images, the first weights and the order; the same seed gives every method the same images."
MORE = "Other settings"
MORE_HELP = "As on the command line: optim.lr=0.05 train.batch=32. They apply to every run whose method has them."
EARLIER = "Sweeps of this folder"
EARLIER_NONE = "None has been started here yet."
EARLIER_HELP = "Including those from the command line. One click brings one back, and its finished runs are used again."

START = "Start"
GO_ON = "Go on"
START_HELP = "Train the missing runs, one after the other, and resume those that were paused or ended early. Finished runs are used again."
PAUSE_HELP = "Each run that is training saves a checkpoint; waiting runs leave the queue. Go on resumes all of them, even after a restart."
AGAIN_HELP = "Train the failed runs again, from the start."
MEASURE_HELP = "Take a few real steps of each method now and estimate from them. It takes some seconds."
UNKNOWN = "How long they take isn't known yet: nothing like them has been trained on this machine."
MEASURE_PLAIN = "The net is not compiled for it: that alone would take half a minute."
RECKONED = "partly scaled from other runs by images per step"
UNCOMPILED = "timed uncompiled: compiling, half a minute or so for each run, comes on top"
ELSEWHERE = "Some of these runs are trained by another process (the command line): when one is paused here, that process goes on to its next run."

CURVE_WAIT = "Points appear as runs end"
CURVE_TEXT = "Last test accuracy of the averaged weights (EMA). Points: means; bars: standard deviation over the seeds; faint dots: single runs."
CURVE_ALT = "Test accuracy against the number of labelled images on a logarithmic axis, one line per method, with the spread over seeds"
ONE_SEED = "One seed: no spread is known, and another seed may differ by several points. Add seeds before you conclude anything."
GRID_TEXT = "Each mark is a run, one per seed. Click it to open the run."
GRID_ALT = "Methods by label counts: state and accuracy of every run of the sweep"

EQUAL_TITLE = "What are labels worth?"
EQUAL_HELP = "Interpolated between measured points, with accuracy taken as linear in the logarithm of the count."
EQUAL_TABLE = "How many labels {} needs for the same accuracy:"
GOAL = "Accuracy wanted"
GOAL_TITLE = "The smallest count that reaches {}"
GOAL_HELP = (
    "Read off the curve of each method. In brackets: the same curve one standard error higher and lower. Outside the measured counts nothing is "
    "claimed but \u201cmore than\u201d the last or \u201cat most\u201d the first."
)
NUMBERS = "Mean accuracy, standard deviation and number of seeds"
EQUAL_NONE = "Appears once the chosen method has a finished run with this count, and another method with any count."

BESIDE = "Beside it"
BESIDE_HELP = (
    "Published numbers on CIFAR-10, drawn thin and dotted, with their deviation where one was published; and runs of this program that were "
    "recorded on a GPU."
)
BESIDE_SOURCES = "Sources and budgets"
OPEN_RECORDED = "Import the recorded runs"
OPEN_RECORDED_HELP = "Their metrics, thresholds and keyframes then show on every page. Their weights aren't part of it, so they can't be resumed."
RECORDED_TAKEN = "{} recorded runs are in this folder: see the Runs page, and the Time machine"

ASK = "Ask the best run about your pictures"
ASK_BEST = {  # which accuracy chose the run -> what to know about that
    "best_val_accuracy": "The finished run with the highest accuracy on the validation images.",
    "test_accuracy": "The finished run with the highest accuracy on the test images. It was chosen by that number, so expect a little less on new pictures.",
}

CLASSES_TEXT = (
    "Recall of one method minus that of the other, class by class, within each seed: both had the same labelled images. Bar: mean over the seeds; "
    "whisker: standard deviation; dots: single seeds. Right of 0 the first is better."
)
CLASSES_ALT = "Difference in recall of two methods for each class, one bar per class, with the spread over seeds"
CLASSES_WAIT = "Both methods need a finished run with this count and the same seed"
CLASSES_ONE = "One seed: a difference of a few points may be chance until other seeds show it too."

RACE_TEXT = (
    "The same split, seed and steps. One thread trains a few steps of each method in turn, so that they stay side by side. Each run's numbers are exactly "
    "what they would be alone, and it counts as a run of the sweep."
)
RACE_EMPTY = "No race has been run in this folder yet. Choose a count and a seed, and start one."
RACE_START_HELP = "Train the chosen methods side by side, anew"
RACE_ONE = "One race is one draw of luck: with another seed another method may win."

SAVE_CSV_HELP = "One row per run of the sweep"
SAVE_CLASSES_HELP = "One row per class of every finished run: images and recall"
SAVE_REPORT_HELP = "Curve, numbers, what is read off them and every run, on one self-contained page to mail or print"

STATES = {ev.FINISHED: "finished", ev.FAILED: "failed", ev.DIVERGED: "diverged", "missing": "not started"}


def runs_and_minutes(runs: int, seconds: float | None, note: str) -> str:
    """Say what is left: "13 runs to go, about 2 min 05 s on this machine"."""
    if not runs:
        return "Every run of this sweep has ended."
    head = f"**{text.plural(runs, 'run')}** to go"
    if seconds is None:
        return f"{head}. {UNKNOWN}"
    return f"{head}, about **{text.duration(seconds)}** of training on this machine{f', {note}' if note else ''}."


def tally(finished: int, total: int, working: int, waiting: int, resting: int, missing: int, failed: int) -> str:
    """Say how far a sweep is, leaving out what there is none of."""
    parts = [f"**{finished:,} of {total:,}** runs finished"]
    for count, word in (
        (working, "at work"),
        (waiting, "waiting"),
        (resting, "resting"),
        (missing, "not started"),
        (failed, "failed"),
    ):
        if count:
            parts.append(f"{count:,} {word}")
    return ", ".join(parts)


def outdated(runs: int) -> str:
    """Say that runs of a folder's older files don't count."""
    return f"{text.plural(runs, 'finished run')} left out: the files in this folder have changed since then."


def method(name: str) -> str:
    return text.METHODS.get(name, name)


def equal(first: str, labels: int, second: str, best: str, between: str, sure: bool) -> str:
    """Write a reading: "**FixMatch with 40 labels = Supervised with 310** (270 to 360)"."""
    tail = (
        " (one seed: its uncertainty isn't known)"
        if not sure
        else f" ({between}, one standard error either way)"
        if between != best
        else ""
    )
    return f"**{method(first)} with {labels:,} labels = {method(second)} with {best}**{tail}"


def seeds(numbers: Sequence[int]) -> str:
    return f"seed {numbers[0]}" if len(numbers) == 1 else f"seeds {span(numbers)}"


def ranged(labels: Sequence[int]) -> str:
    return f"{labels[0]:,}" if len(labels) == 1 else f"{min(labels):,} to {max(labels):,}"


def told_run(name: str, labels: int, seed: int) -> str:
    return f"{method(name)}, {text.plural(labels, 'label')}, seed {seed}"
