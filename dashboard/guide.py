"""The Guide as data: the steps of the tour and when each is done, the text on the methods, the links. No streamlit, no torch.

A step is done by what a person really did: the runs of the store, their events, and the deeds that the pages told of.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

import sslcore
from dashboard import notes
from dashboard.text import DATA, METHODS
from sslcore import events as ev
from sslcore import presets

TOUR, HIDE = "tour", "hide"  # names in the URL
PAGES = {  # page -> (address below the server's, file, title)
    "train": ("", "views/train.py", "Train"),
    "augment": ("augment", "views/augment.py", "Augmentations"),
    "pseudo": ("pseudo", "views/pseudo.py", "Pseudo-labels"),
    "time": ("time", "views/time.py", "Time machine"),
    "curves": ("curves", "views/curves.py", "Label curves"),
    "images": ("images", "views/images.py", "Images"),
    "runs": ("runs", "views/runs.py", "Runs"),
    "guide": ("guide", "views/guide.py", "Guide"),
}
PARTS = {
    "tour": "Tour",
    "draw": "Draw, then see",
    "methods": "The methods",
    "break": "Break it",
    "teach": "Teacher mode",
}
# Deeds that leave no trace in the store; each is told by its page through `guide_tour.note`.
DREW_VIEWS = "views drawn again"
SWITCHED_METHOD = "method of the X-ray switched"
TRAVELLED = "another moment shown in the Time machine"
COMPARED = "two runs compared"
CHOSE_LABELS = "labelled images chosen by hand"
DREW_CURVE = "a real curve laid over a drawn one"
HIDEABLE = {
    "controls": "the settings beside the page",
    "toolbar": "the buttons Start, Pause, Step and Stop",
    "menu": "the list of pages at the top",
}


@dataclass(frozen=True)
class Seen:
    """What a person has done so far."""

    runs: Sequence[ev.Run] = ()  # newest first
    events: Mapping[str, Sequence[ev.Event]] = field(default_factory=dict)  # run id -> its events
    deeds: frozenset[str] = frozenset()  # what was done on the pages in this tab


@dataclass(frozen=True)
class Step:
    """One step of the tour: a sentence, the page where it is done, and a question to answer before its reveal."""

    id: str
    title: str
    do: str
    page: str
    params: Mapping[str, str]
    question: str
    choices: tuple[str, ...]
    right: int
    answer: str
    done: Callable[[Seen], bool]
    part: str = ""  # of the Guide page, where the step is done there


def sound(run: ev.Run) -> bool:
    """Whether nothing in a run is broken on purpose."""
    return run.preset not in presets.BROKEN and not notes.purpose(run)


def started_flexmatch(seen: Seen) -> bool:
    return any(run.method == "flexmatch" and run.step > 0 and sound(run) for run in seen.runs)


def stepped(seen: Seen) -> bool:
    """Whether some run was sent one step on while it was paused."""
    return any(event.kind == "state" and "until" in event.data for events in seen.events.values() for event in events)


def compared(seen: Seen) -> bool:
    """Whether a Supervised run is finished beside a FlexMatch run with the same data, labels and seed."""
    others = {(run.data, run.labels, run.seed) for run in seen.runs if run.method == "flexmatch" and sound(run)}
    return any(
        run.method == "supervised" and run.state == ev.FINISHED and (run.data, run.labels, run.seed) in others
        for run in seen.runs
    )


def swept(seen: Seen) -> bool:
    """Whether Supervised and another method have each finished with two label counts or more of the same data."""
    counts: dict[tuple[str, str], set[int]] = {}
    for run in seen.runs:
        if run.state == ev.FINISHED and sound(run):
            counts.setdefault((run.data, run.method), set()).add(run.labels)
    enough = {place for place, found in counts.items() if len(found) > 1}
    return any((data, "supervised") in enough and method != "supervised" for data, method in enough)


def broke(seen: Seen) -> bool:
    return any(run.preset in presets.BROKEN and run.step > 0 for run in seen.runs)


def did(deed: str) -> Callable[[Seen], bool]:
    return lambda seen: deed in seen.deeds


STEPS: tuple[Step, ...] = (
    Step(
        "start", "Start a run", "Press Start: FlexMatch learns digits from 40 labelled images.", "train", {},
        "At the first step the model knows nothing. What share of its guesses does FlexMatch keep?",
        ("Nearly none", "About half", "All of them"), 2,
        "All of them. Every class threshold begins at 0 and rises as the class is learnt, so the mask rate begins at 100 %.",
        started_flexmatch,
    ),
    Step(
        "draw", "Draw what you expect", "Draw the mask rate that you expect over a run, then lay the real one over it.", "guide", {},
        "FixMatch asks every class for the same confidence from the first step on. Where does its mask rate begin?",
        ("At 100 %", "Near 0 %", "At 50 %"), 1,
        "Near 0 %: an untrained model is sure of nothing. It opens as confidence grows. FlexMatch begins at the other end.",
        did(DREW_CURVE), "draw",
    ),
    Step(
        "views", "See what the network sees", "Look at weak and strong views of one picture and draw them again.", "augment", {},
        "Why is the guess made on the weak view and not on the strong one?",
        ("It is quicker", "The weak view is easier, so the guess is more often right", "The strong view has no class"), 1,
        "The easy view makes the better target; the hard view has something to learn from it.",
        did(DREW_VIEWS),
    ),
    Step(
        "xray", "X-ray one guess", "Follow one unlabelled image from logits to loss, then switch the method.", "pseudo", {},
        "FixMatch's threshold is 0.95 and the confidence 0.94. What does the image add to loss_u?",
        ("0.94 of its loss", "Its whole loss", "Nothing, but it still counts in the mean"), 2,
        "Nothing: its mask is 0. The mean runs over all images, kept or not, so few kept images make a small loss.",
        did(SWITCHED_METHOD),
    ),
    Step(
        "step", "One step at a time", "Pause a run while it trains, then press Step.", "train", {},
        "What changes in one step?",
        ("The weights, a little", "The labels of the images", "Nothing before the next evaluation"), 0,
        "The weights move once against the gradient of the loss, and the averaged weights follow them.",
        stepped,
    ),
    Step(
        "supervised", "What do the unlabelled images give?", "Let Supervised finish with the same labels and seed.", "train",
        {"method": METHODS["supervised"]},
        "Supervised sees the same 40 labelled digits and none of the others. What will its curves show?",
        ("The labelled images learnt, the test images far behind", "Neither learnt", "Both the same"), 0,
        "It learns 40 images by heart within moments. The gap to FlexMatch on the test images is what the unlabelled ones give.",
        compared,
    ),
    Step(
        "time", "Go back in time", "Drag the slider through a whole run and watch the pictures change.", "time", {},
        "Where would you look for confirmation bias?",
        ("In images that are kept and wrong from some moment to the end", "In the learning rate", "In images that are never kept"), 0,
        "An image that is wrong for ever teaches its own error at every step. The Time machine lists such images.",
        did(TRAVELLED),
    ),
    Step(
        "break", "Break it", "Choose one of the broken presets and watch which curve gives it away.", "guide", {},
        "Which single curve shows that kept guesses are wrong?",
        ("Mask rate", "Purity", "loss_u"), 1,
        "Purity, the share of the kept guesses that are right. It needs the hidden labels: outside a lesson nobody has it.",
        broke, "break",
    ),
    Step(
        "labels", "What is a label worth?", "Start the small sweep that is set up here, and read the curve at one height from left to right.", "curves",
        {"sweep.counts": "10,40"},
        "Over ten seeds FlexMatch with 10 labels reaches what Supervised reaches with 40: 89 %. What did the unlabelled images give?",
        ("Nothing, both took the same steps", "As much as 30 labels", "Four times the accuracy"), 1,
        "As much as 30 labels, on average. A single seed can be several points off: add seeds, and look at the bars.",
        swept,
    ),
    Step(
        "images", "Choose the labels", "Fill in one typical digit of each class, then change the choice by clicking pictures.", "images",
        {"images_from": DATA["digits"]},
        "With one label per class, what changes the accuracy more?",
        ("The method", "Which images have the labels", "The number of steps"), 1,
        "Which images: going from outliers to typical ones gains every method more than the methods differ. The table on that page has the figures.",
        did(CHOSE_LABELS),
    ),
    Step(
        "runs", "Compare", "Tick two runs in the table and look at their curves side by side.", "runs", {},
        "One run of FlexMatch beats one run of FixMatch by a point. What does that prove?",
        ("FlexMatch is better", "Little: another seed may reverse it", "The threshold was too high"), 1,
        "Little. Which images are labelled changes the result by points, so compare several seeds with the same splits.",
        did(COMPARED),
    ),
)  # fmt: skip


def step_number(text: object) -> int | None:
    """Read `?tour=3`: 1 to the number of steps, None for anything else."""
    found = str(text)
    number = int(found) if found.isascii() and found.isdigit() and len(found) < 4 else 0
    return number if 1 <= number <= len(STEPS) else None


def hidden(text: object) -> frozenset[str]:
    """Read `?hide=controls,menu`; unknown words are passed over."""
    return frozenset(str(text).split(",")) & HIDEABLE.keys()


def break_params(preset: str) -> dict[str, str]:
    """Query of the Train page that has a preset chosen, with the method that shows it best."""
    chosen = presets.PRESETS[preset]
    return {"preset": chosen.title, "method": METHODS[chosen.config.method.name]}


def address(here: str, page: str, hide: Sequence[str]) -> str:
    """Link to a page with parts hidden; `here`: the address of any page of ours, empty where it isn't known."""
    query = "?" + urlencode({HIDE: ",".join(hide)}, safe=",") if hide else ""
    return here.partition("?")[0].rpartition("/")[0] + "/" + PAGES[page][0] + query


@dataclass(frozen=True)
class Told:
    """The module docstring of a method: its first line, then (is a formula, text) block by block, as it stands."""

    first: str
    blocks: tuple[tuple[bool, str], ...]


def told(method: str) -> Told:
    """Read what a method's file says of itself, without importing it (and torch)."""
    path = Path(sslcore.__file__).parent / "methods" / f"{method}.py"
    return parse(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def parse(docstring: str) -> Told:
    """Split a docstring at its blank lines; a block whose lines are all indented is a formula."""
    first, *rest = [block for block in docstring.split("\n\n") if block.strip()] or [""]
    blocks = []
    for block in rest:
        lines = block.strip("\n").splitlines()
        formula = all(line.startswith("    ") for line in lines)
        blocks.append((formula, "\n".join(line[4:] for line in lines) if formula else " ".join(lines)))
    return Told(" ".join(first.split()), tuple(blocks))


def distance(drawn: Sequence[float], share: np.ndarray, real: np.ndarray) -> float | None:
    """Mean distance of two curves over the part of the run that the real one covers, as fractions; None without a curve.

    `drawn`: values at evenly spaced moments from the start to the end; `real` (n,): values at `share` (n,) of the run.
    """
    known = ~np.isnan(real)
    if not known.any():
        return None
    share, real = share[known], real[known]
    at = np.linspace(share[0], share[-1], 101)
    expected = np.interp(at, np.linspace(0, 1, len(drawn)), drawn)
    return float(np.abs(expected - np.interp(at, share, real)).mean())
