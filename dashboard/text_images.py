"""The words of the Images page and of the questions to a run on the Runs page. No streamlit."""

from __future__ import annotations

INTRO = (
    "Your own images: what is in them, what to mind before training on them, and which of them begin with a label. "
    "Look for classes with few images, and for images that don't belong where they are."
)
FROM = {"folder": "A folder on this computer", "zip": "A zip file"}
FROM_HELP = (
    "A folder is read where it lies. A zip is unpacked once into this program's data folder; images in it that were seen before "
    "are not unpacked again. The other data sets are here to try the rest of the page."
)
PATH_HELP = "On the computer that runs this program: a folder with a folder for each class, or train and test with these in them."
LAYOUT = "Put the images of each class into a folder of its own, in any format:"
FOLDERS = """pets/cat/1.jpg  pets/cat/2.png ...            a share is held out for testing
pets/dog/1.jpg ...
pets/unlabeled/... (if you have some)         images whose class nobody knows"""
OWN_TEST = """or with a test part of your own: `pets/train/cat/...`, `pets/train/unlabeled/...`, `pets/test/cat/...`"""
ZIP_LABEL = "A zip with a folder for each class"
ZIP_HELP = "At most {mb} MB (the setting server.maxUploadSize). Nothing but images is unpacked."
SIZE_HELP = "Side to which the images are resized, in pixels; training sees them so."
UNPACKING = "Checking and unpacking the zip"
LOADING = "Loading the images"
HEALTHY = "No image is there twice, and no class is tiny."
COUNTS = "Classes"
COUNTS_ALT = "Number of labelled training and test images of each class"
SHEET = "A sample of each class, as training sees it"
SHEET_ALT = "Training images of {name}"
TO_TRAIN = "Train with these images"
TO_CURVES = "How many labels do these images need?"
HAND_TITLE = "Choose the labelled images"
HAND_TEXT = (
    "A run usually labels images at random within each class. Here you choose them: click the pictures you would label. "
    "With one label a class the choice can move the accuracy more than the method does."
)
HAND_HONEST = (
    "Choosing class by class uses the labels of all the images, as any person does who looks for a good example. "
    "**Typical**: nearest to the mean of the class, on the principal axes of the pixels; **outliers**: farthest from it."
)
WORTH_TITLE = "What the choice is worth"
WORTH_TEXT = "The digits lesson, accuracy on 360 test images, mean and standard deviation over seeds 0 to 4:"
WORTH_HEAD = ("labels a class", "choice", "Supervised", "MixMatch", "FixMatch", "FlexMatch")
WORTH = (  # measured with the command below, once for each choice
    ("1", "random", "66.8 \u00b1 4.5 %", "86.8 \u00b1 7.5 %", "84.4 \u00b1 6.1 %", "88.9 \u00b1 7.2 %"),
    ("1", "typical", "81.1 \u00b1 1.6 %", "92.5 \u00b1 0.2 %", "92.2 \u00b1 0.9 %", "93.1 \u00b1 0.5 %"),
    ("1", "outliers", "36.1 \u00b1 6.0 %", "51.7 \u00b1 5.6 %", "47.3 \u00b1 6.7 %", "52.8 \u00b1 7.9 %"),
    ("4", "random", "89.4 \u00b1 1.7 %", "95.7 \u00b1 0.5 %", "95.4 \u00b1 1.0 %", "96.4 \u00b1 1.1 %"),
    ("4", "typical", "88.1 \u00b1 1.1 %", "92.2 \u00b1 0.3 %", "92.6 \u00b1 0.3 %", "93.3 \u00b1 0.3 %"),
    ("4", "outliers", "68.9 \u00b1 2.5 %", "87.6 \u00b1 1.1 %", "86.8 \u00b1 0.6 %", "86.7 \u00b1 2.5 %"),
)
WORTH_SAYS = (
    "With one label a class the choice decides: from outliers to typical ones every method gains 40 to 45 points, while for one choice the "
    "methods lie 12 to 22 points apart. With four the choice is worth 8 to 10 points to the three semi-supervised methods, which lie 1 point "
    "apart, and 21 to Supervised; and typical ones are worse than random ones by 1 to 3 points: they are too much alike. Typical ones and "
    "outliers are the same images for every seed, so their spread leaves out the luck of the draw."
)
WORTH_COMMAND = "python -m sslcore sweep --preset digits-lesson --labels 10,40 --seeds 0-4 --set data.pick=typical"
BEGIN = {"typical": "The most typical", "outliers": "Outliers", "random": "Random ones"}
BEGIN_LABEL = "Begin with"
EACH_LABEL = "of each class"
CLASS_LABEL = "Class"
STRIP_ALT = "Training images of one class; a click chooses or drops one"
CHOSEN = "{count} chosen: {each}."
CHOSEN_NONE = "None is chosen yet."
CHOSEN_ALT = "The chosen images of {name}"
MISSING = "No image yet of: {names}."
TO_TRAIN_HAND = "Train with these labels"
HAND_COMMAND = "The same from the command line"
HAND_NUMBERS = (
    "The numbers count the training images in the order of their files: add or remove none while you work with them."
)

ASK_TITLE = "Ask this run"
ASK_TEXT = "Its averaged weights (EMA) at step {step} answer, as for every accuracy shown here."
ASK = {"pictures": "Your pictures", "next": "What to label next", "pseudo": "Pseudo-labels"}
ASK_NOT_YET = "It can be asked about pictures once it has its first checkpoint, some seconds after its start."
DROP = "Drop pictures here"
DROP_HELP = "JPEG, PNG, GIF, BMP, WebP, TIFF or AVIF, at most {mb} MB each. They are kept in memory only and are gone when you close the tab."
DROP_MOST = "The first {most} are shown."
SURE = "Sure from"
SURE_HELP = (
    "The confidence that an answer needs; below it the answer is: not sure. A network can be sure and wrong, most of all about things "
    "that it has never seen."
)
NOT_SURE = "Not sure"
NEXT_TEXT = (
    "Unlabelled images that would teach the run most: those that it is least sure of, and of these a sheet of different ones, so "
    "that you don't label the same doubt twice. Below each its guess and how sure it is."
)
NEXT_COUNT = "How many"
NEXT_DIVERSE = "Different ones"
NEXT_DIVERSE_HELP = (
    "On: of up to {times} times as many that it isn't sure of, always the one farthest from those before it in the net's own features. "
    "Off: simply the least certain."
)
NEXT_ALT = "Unlabelled images that the run is not sure of, with its guesses: {guesses}"
NEXT_SAVE = "List (CSV)"
PSEUDO_TEXT = (
    "**{kept}** of the {all} images in this run's unlabelled pool have a confidence of {sure} or more and are marked kept; the file holds "
    "all of them: path, class, confidence, kept."
)
PSEUDO_SAVE = "Pseudo-labels (CSV)"
ASKING = "Asking the network"
