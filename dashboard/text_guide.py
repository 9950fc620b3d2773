"""The words of the Guide page. No streamlit."""

from __future__ import annotations

TITLE = "Guide"
INTRO = {
    "tour": "Ten minutes through all pages. Each step is done on the real page, and the Guide notices when you have done it.",
    "draw": "How large a share of the guesses will be kept over a run? Draw it first; then lay a real run over your curve.",
    "methods": "How eight steps became four, and then one of the four was changed. Below: each method in the words of its own file.",
    "break": "Presets with one thing wrong on purpose, named for what they show. Before you start one, guess which curve will give it away.",
    "teach": "For a projector or a worksheet: links that show a page without its controls.",
}
FINISHED = "You have been through all of it. Break something, or take your own images."
HERE = "Open it here"
DONE, OPEN = "Done", "Not done yet: this line notices when you have done it."
QUESTION = "Before you look"
RIGHT, WRONG = "That is it.", "Not quite."
DRAW_HELP = "Drag across the picture, or press Tab to reach a point: left and right choose the point, up and down move it by 5 %."
DRAW_EMPTY = "There is no run with a mask rate yet. Start FlexMatch or FixMatch on the Train page, draw meanwhile, and come back."
DRAW_ALT = "Your expected mask rate from the start to the end of the run, in percent"
REVEAL, AGAIN = "Show the real curve", "Draw again"
RESULT = "Your curve and the real one lie **{points} percentage points** apart on average{part}."
DATA, DATA_ALT = "Show data", "Table of your mask rate and the real one at eleven moments of the run"
METHODS_ALT = {
    "mixmatch": "MixMatch in eight steps",
    "fixmatch": "FixMatch in four steps, one of them new",
    "flexmatch": "FlexMatch in four steps, one of them changed",
}
BREAK_LINK = "Try it on the Train page"
LESSON_LINK = "The lesson that isn't broken"
LOOK, DIAGNOSIS = "What to look for", "The diagnosis"
DIAGNOSES = {
    "break-no-strong-view": (
        "The training loss on the unlabelled images is tiny because there is nothing to disagree about. In your own runs: if loss_u is near 0 "
        "while many images are kept and the test accuracy stands still, the strong view is too weak."
    ),
    "break-tau-zero": (
        "Early errors become targets. In your own runs: a mask rate near 100 % early on with a low confidence means that the "
        "threshold does nothing. FlexMatch begins there too, but its thresholds rise."
    ),
    "break-lambda-100": (
        "One part dominates the weighted sum. In your own runs: compare loss_x with lambda_u times loss_u; if the second is many times the "
        "first, the labels have no say."
    ),
    "break-one-label": (
        "One untypical image stands for its whole class. In your own runs: a large spread over seeds with few labels is a sign of luck; label "
        "one more image of the classes that are confused."
    ),
    "break-wrong-label": (
        "The method trusts every label, and a class without a right example can't come back. In your own runs: if a class's diagonal cell in "
        "the confusion matrix is empty and its images all go to one other class, look at its labelled images."
    ),
    "break-long-tail": (
        "MixMatch learns from every guess, and its guesses lean towards the classes with most of the labels, while most images are of others: a class with "
        "one label is lost. In your own runs: compare how often each class is guessed with how often you expect it, and look at the recall of the rarest."
    ),
    "break-wrong-labels": (
        "Where right labels outnumber wrong ones, images that look alike outvote the error; where they don't, the error spreads. In your "
        "own runs: if a class's recall falls while the accuracy rises, look at its labels."
    ),
    "break-foreign": (
        "A guess can only name a known class, and a confident one is kept, whatever the image shows. In your own runs: look at the images that are kept "
        "with a lower confidence than most, and remove what belongs to none of your classes."
    ),
    "break-mask-by-class": (
        "max_prob[targets_u] picks the confidence of image number 0 to 9, not of the image itself; the right line compares max_prob with "
        "threshold[targets_u]. No error is raised, since class numbers are valid indices. A test against a slow loop finds it at once."
    ),
    "break-mask-rate": (
        "The mean of the largest probability is a fraction too, so its curve looks plausible. The mask rate is the mean of the mask. Ask of "
        "every curve what it would show if nothing were kept: this one would not show 0."
    ),
}
TEACH_PAGE, TEACH_HIDE = "Page", "Hide"
TEACH_NOTE = (
    "The parts stay hidden on every page that is reached from there, until the tab is reloaded without `hide` in its address or "
    "**Show everything** is pressed here. On a narrow screen the list of pages lies in the sidebar and is hidden with it."
)
SHOW_ALL = "Show everything"
