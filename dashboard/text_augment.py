"""The words of the Augmentations page. No streamlit."""

from __future__ import annotations

INTRO = {
    "views": "One picture, changed by the same functions that training uses. Look for the strong view in which you no longer recognise it.",
    "op": "One operation of the strong view under the microscope. Look for the magnitude at which you, or the model, no longer recognise the picture.",
    "mixup": "MixMatch trains on blends: picture and label are mixed in the same proportions. Look at the label: it says how much of each went in.",
}
EXHIBITS = {"views": "Weak and strong", "op": "One operation", "mixup": "MixUp"}
EXHIBIT_HELP = (
    "**Weak and strong**: the two kinds of views that FixMatch and FlexMatch compare.  \n**One operation**: RandAugment under the microscope.  \n"
    "**MixUp**: MixMatch blends two pictures and their labels."
)
PICKED = {"set": "Data set", "upload": "Upload", "camera": "Camera"}
PICKED_HELP = (
    "A picture of a data set, or one of yours. Yours stays in this program's memory, is resized to match the data set, and "
    "is gone when you close the tab."
)
DATA_HELP = "Which pictures to show; your own picture is converted to the size and colours of this set. A downloaded set appears once a run has used it."
NUMBER_HELP = "Training picture 0 to {last}."
SIZE_HELP = "Side length to which the folder's pictures are resized, in pixels."
UPLOAD_HELP = "JPEG, PNG, GIF, BMP, WebP, TIFF or AVIF, at most {mb} MB and {mp} million pixels. Kept in memory only."
CLASS_HELP = "Previous, Next and Random stay within this class."
INVERT_HELP = "The digits are light on dark; a photograph of dark ink on paper must be inverted."
NO_PICTURE = "Choose or take a picture above. Until then there is nothing to change."
FLIP_OFF = (
    "**Not mirrored**: in {data} a mirrored picture may show another class or none, so training does not mirror either."
)
FLIP_FORCED = "Mirroring is switched on by hand; by default {data} is trained without it, since a mirrored picture may show another class or none."

PRESETS = ("paper", "google", "kekmodel", "off")
PRESET_HELP = (
    "**paper**: the table in FixMatch's appendix, N = 2, every operation applied.  \n"
    "**google**: the authors' code, wider ranges, each operation applied with p = 0.5.  \n"
    "**kekmodel**: the most used PyTorch code, black outside the frame.  \n**off**: the strong view is another weak view."
)
PRESET_NOTES = {
    "paper": "Magnitudes anywhere in the paper's ranges; empty areas become grey.",
    "google": "Nine of ten levels, so the strongest is never drawn; colours may also become stronger than natural.",
    "kekmodel": "As google, but colours only become weaker, at least 4 bits are kept, and it is black outside the frame.",
    "off": "No operation and no cut-out: the strong view asks for nothing new, and nothing is learnt from it.",
}
KNOBS = {  # label, tooltip
    "num_ops": (
        "Operations, N",
        "Each strong view gets N operations, each drawn uniformly from the fourteen, with replacement.",
    ),
    "op_prob": (
        "Chance of each, p",
        "A drawn operation is applied with probability p, else skipped. The paper applies all.",
    ),
    "strength": (
        "Range",
        "Multiplies every magnitude's distance from 'no change': 1 = the preset's ranges, 0 = no change, 2 = twice as far.",
    ),
    "cutout": (
        "Cut-out",
        "Side of the square that is painted over, as a share of the picture's side. The paper: half.",
    ),
    "fill": ("Fill", "Colour of the cut-out and of what comes in from outside the frame."),
    "flip": (
        "Mirror",
        "Weak augmentation mirrors left-right with probability 1/2; auto: only where that keeps the class.",
    ),
}
COUNT = ("Views", "How many weak and how many strong views to draw.")
DRAW = (
    "Draw",
    "The seed of the draws: the same number gives the same views, here and for whoever you send the address to.",
)
AGAIN = "Draw again"

WEAK = "Weak views"
WEAK_HELP = (
    "Mirrored with probability 1/2 where that keeps the class, then shifted by up to an eighth of the side, with the edges reflected. The "
    "model's guess on such a view becomes the pseudo-label."
)
WEAK_TEXT = "Hardly changed: the guess made here is the pseudo-label."
STRONG = "Strong views"
STRONG_HELP = (
    "A weak view, then RandAugment (N random operations with random magnitudes), then one square cut out. The model must give the "
    "weak view's label here: consistency, loss_u = cross-entropy(pseudo-label, prediction on the strong view)."
)
STRONG_TEXT = "Under each: the operations as drawn, in their order."
STEPS = "One strong view, step by step"
STEPS_HELP = (
    "How the framed strong view was made: the weak view, then the picture after each drawn operation, last the cut-out. "
    "Choose another view by its number."
)
WHICH = "Strong view"
WEAK_STAGE, CUT_STAGE = "Weak view", "Cut-out"
ORIGINAL = "The picture"
MODEL = (
    "Model",
    "A trained run whose averaged (EMA) weights are asked about every picture, on the CPU. Runs for pictures of this size and colour are listed.",
)
NO_MODEL = "no model"
CHECKPOINT = ("Checkpoint", "Which checkpoint of the run to ask.")
USE_RUN = "Use the run's settings"
USE_RUN_HELP = "Set the knobs above to the values this run was trained with."
NONE_FITS = "No run with a checkpoint takes pictures of this size and colour yet. Train one on {data}, and its opinion appears under every view."
OTHER_SHAPE = "The run in the address takes pictures of another size or colour; choose its data set to ask it."
NO_CHECKPOINT = "The run in the address has no checkpoint that could be asked."
BARS = "Bars: the three likeliest classes. Tick: the class that the model gives the unchanged picture, right or wrong; cross: another class."
SAVE_PNG, SAVE_CSV = "Save as picture", "Save as table"

OP = (
    "Operation",
    "One of RandAugment's fourteen; cut-out, which follows them; and a tutorial's noise, which no method here uses.",
)
OP_HELP = {
    "Identity": "Changes nothing: one of the fourteen is a no-op.",
    "AutoContrast": "Stretches each colour channel so that its darkest pixel becomes 0 and its lightest 255. No magnitude.",
    "Equalize": "Spreads the levels of each colour channel evenly. No magnitude.",
    "Posterize": "Keeps only the highest bits of every pixel; 8 bits change nothing.",
    "Solarize": "Inverts the pixels at or above the threshold; 256 changes nothing.",
    "Brightness": "Blends with black: below 1 darker, above 1 lighter.",
    "Color": "Blends with the picture in grey: below 1 paler, above 1 more colourful. Grey pictures stay as they are.",
    "Contrast": "Blends with the picture's mean grey: below 1 flatter, above 1 harsher.",
    "Sharpness": "Blends with a smoothed picture: below 1 softer, above 1 sharper.",
    "Rotate": "Turns around the centre, positive = counter-clockwise.",
    "ShearX": "Slides the rows against each other: row y is taken from magnitude x y pixels further right.",
    "ShearY": "Slides the columns against each other: column x is taken from magnitude x x pixels further down.",
    "TranslateX": "Moves left or right; what comes in from outside is filled.",
    "TranslateY": "Moves up or down; what comes in from outside is filled.",
    "Cutout": "Paints one square over. Here in the middle; in training around a random pixel, clipped at the edge.",
    "Gaussian noise": (
        "**Not part of the four methods here.** A tutorial adds 0.15 x standard normal noise to normalised pixels as MixMatch's weak view: "
        "on these pictures a standard deviation of {std:.1f} grey levels."
    ),
}
OP_TEXT = "The row goes through the range that training draws from; the slider goes further."
OP_TEXT_UNDRAWN = "The row goes from no change to the largest sensible value; training draws nothing here."
MAGNITUDE = "Magnitude"
DRAWN_FROM = "Training draws from {low} to {high} with these knobs."
NOT_DRAWN = "Training draws no magnitude here: it is a setting."
NO_MAGNITUDE = "This operation has no magnitude: it is applied or it isn't."
OFF_RANGE = "With preset **off** nothing is drawn; the row shows the paper's range."
BREAKS = "What the model says at each magnitude"
BREAK_ALT = "Line chart of the likeliest classes' probabilities over the magnitude of the chosen operation"

LAMBDA = (
    "\u03bb",
    (
        "Share of the first picture. MixMatch then takes \u03bb' = max(\u03bb, 1 - \u03bb), so that a blend stays nearer to its first "
        "picture, whose place in the batch it keeps."
    ),
)
ALPHA = (
    "\u03b1",
    (
        "MixMatch draws \u03bb from Beta(\u03b1, \u03b1). Below 1 most draws lie near 0 or 1: one picture with a trace of the other. "
        "At 1 all shares are equally likely. Above 1 most are near a half."
    ),
)
SECOND = ("Second picture", "Number of the picture that is blended in.")
DENSITY = "Where \u03bb comes from"
DENSITY_TEXT = "Bars: {n} real draws from the function that training uses. Line: the density of Beta(\u03b1, \u03b1). Dashed: that of \u03bb', folded at 1/2."
DENSITY_HELP = "Density: x^(a-1) (1-x)^(a-1) / B(a, a) with a = \u03b1. At \u03b1 below 1 it is infinite at 0 and 1; the chart is cut there."
DENSITY_ALT = "Histogram of drawn shares lambda with the density of Beta(alpha, alpha)"
MIXED_LABEL = "Label of the blend"
MODEL_SAYS = "The model says"
DRAWN = "Blends as MixMatch draws them"
DRAWN_TEXT = "The first draws of this seed; below each blend its \u03bb, and the \u03bb' it was made with."
UNKNOWN = "unknown"
