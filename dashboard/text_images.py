"""The words of the Images page and of the questions to a run on the Runs page. No streamlit."""

from __future__ import annotations

INTRO = (
    "Your own images: what is in them, what to check before training on them, and which of them start out labelled. "
    "Look for classes with few images, and for images that don't belong where they are."
)
FROM = {"folder": "A folder on this computer", "zip": "A zip file"}
FROM_HELP = (
    "A folder is read in place. A zip is unpacked once into this program's data folder; images in it that were seen before "
    "are not unpacked again. The other data sets let you try the rest of the page."
)
PATH_HELP = "On the computer that runs this program: a folder with a folder for each class, or train and test with these in them."
LAYOUT = "Put the images of each class into a folder of its own, in any format:"
FOLDERS = """pets/cat/1.jpg  pets/cat/2.png ...            a share is held out for testing
pets/dog/1.jpg ...
pets/unlabeled/... (if you have some)         images whose class nobody knows"""
OWN_TEST = """or with a test part of your own: `pets/train/cat/...`, `pets/train/unlabeled/...`, `pets/test/cat/...`"""
ZIP_LABEL = "A zip with a folder for each class"
ZIP_HELP = "At most {mb} MB (the setting server.maxUploadSize). Nothing but images is unpacked."
SIZE_HELP = "Side length to which the images are resized for training, in pixels."
UNPACKING = "Checking and unpacking the zip"
LOADING = "Loading the images"
HEALTHY = "No image appears twice, and no class is tiny."
COUNTS = "Classes"
COUNTS_ALT = "Number of labelled training and test images of each class"
SHEET = "A sample of each class, as training sees it"
SHEET_ALT = "Training images of {name}"
TO_TRAIN = "Train with these images"
TO_CURVES = "How many labels do these images need?"
HAND_TITLE = "Choose the labelled images"
HAND_TEXT = (
    "A run usually labels images at random within each class. Here you choose them: click the pictures you would label. "
    "With one label per class the choice can change the accuracy more than the method does."
)
HAND_HONEST = (
    "Choosing class by class uses the labels of all the images, as anyone looking for a good example does. "
    "**Typical**: nearest to the mean of the class, in the principal components of the pixels; **outliers**: farthest from it."
)
WORTH_TITLE = "What the choice is worth"
WORTH_TEXT = "The digits lesson, accuracy on 360 test images, mean and standard deviation over seeds 0 to 4:"
WORTH_HEAD = ("labels per class", "choice", "Supervised", "MixMatch", "FixMatch", "FlexMatch")
WORTH = (  # measured with the command below, once for each choice
    ("1", "random", "66.8 \u00b1 4.5 %", "86.8 \u00b1 7.5 %", "84.4 \u00b1 6.1 %", "88.9 \u00b1 7.2 %"),
    ("1", "typical", "81.1 \u00b1 1.6 %", "92.5 \u00b1 0.2 %", "92.2 \u00b1 0.9 %", "93.1 \u00b1 0.5 %"),
    ("1", "outliers", "36.1 \u00b1 6.0 %", "51.7 \u00b1 5.6 %", "47.3 \u00b1 6.7 %", "52.8 \u00b1 7.9 %"),
    ("4", "random", "89.4 \u00b1 1.7 %", "95.7 \u00b1 0.5 %", "95.4 \u00b1 1.0 %", "96.4 \u00b1 1.1 %"),
    ("4", "typical", "88.1 \u00b1 1.1 %", "92.2 \u00b1 0.3 %", "92.6 \u00b1 0.3 %", "93.3 \u00b1 0.3 %"),
    ("4", "outliers", "68.9 \u00b1 2.5 %", "87.6 \u00b1 1.1 %", "86.8 \u00b1 0.6 %", "86.7 \u00b1 2.5 %"),
)
WORTH_SAYS = (
    "With one label per class the choice decides: going from outliers to typical images gains every method 40 to 45 points, while for a given "
    "choice the methods lie 12 to 22 points apart. With four per class the choice is worth 8 to 10 points to the three semi-supervised methods, "
    "which lie 1 point apart, and 21 to Supervised; and typical images are 1 to 4 points worse than random ones: they are too much alike. Typical "
    "images and outliers are the same for every seed, so their spread leaves out the luck of the draw."
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
SURE = "Threshold"
SURE_HELP = (
    "The confidence that an answer needs; below it the answer is: not sure. A network can be sure and wrong, above all about things "
    "that it has never seen."
)
NOT_SURE = "Not sure"
NEXT_TEXT = (
    "Unlabelled images whose labels should help the run most: those that it is least sure of, and among these ones that differ, so "
    "that you don't label the same doubt twice. Below each: its guess and how sure it is."
)
NEXT_COUNT = "How many"
NEXT_DIVERSE = "Different ones"
NEXT_DIVERSE_HELP = (
    "On: from up to {times} times as many images that it isn't sure of, pick those that lie far apart in the network's own features. "
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
