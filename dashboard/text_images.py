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
LAYOUT = """Put the images of each class into a folder of its own, in any format:

```
pets/cat/1.jpg  pets/cat/2.png ...            a share is held out for testing
pets/dog/1.jpg ...
pets/unlabeled/... (if you have some)         images whose class nobody knows
```

or with a test part of your own: `pets/train/cat/...`, `pets/train/unlabeled/...`, `pets/test/cat/...`"""
ZIP_LABEL = "A zip with a folder for each class"
ZIP_HELP = "At most {mb} MB (the setting server.maxUploadSize). Nothing but images is unpacked."
SIZE_HELP = "Side to which the images are resized, in pixels; training sees them so."
UNPACKING = "Checking and unpacking the zip"
LOADING = "Loading the images"
HEALTHY = "Nothing stands out: no image is there twice, no class is tiny."
COUNTS = "Classes"
COUNTS_ALT = "Number of labelled training and test images of each class"
SHEET = "A sample of each class, as training sees it"
SHEET_ALT = "Training images of {name}"
TO_TRAIN = "Train with these images"
TO_CURVES = "How many labels do these images need?"
HAND_TITLE = "Choose the labelled images"
HAND_TEXT = (
    "A run usually labels images at random within each class. Here you choose them: click the pictures you would label. "
    "With one or four labels a class the choice can move the accuracy more than the method does."
)
HAND_HONEST = (
    "Choosing class by class uses the labels of all the images, as any person does who looks for a good example. "
    "**Typical**: nearest to the mean of the class, on the principal axes of the pixels; **outliers**: farthest from it."
)
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
    "On: of the {times} times as many least certain ones, always the one farthest from those before it in the net's own features. "
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
