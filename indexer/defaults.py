"""Numbers and names that a command's help shows and the work behind it uses. It imports nothing, so help is quick."""

from typing import Final, Literal, get_args

INTERPOLATIONS: Final = ("box", "bilinear", "hamming", "bicubic", "lanczos", "nearest")

FLOAT32: Final = "float32"
PRECISIONS: Final = (FLOAT32, "float32-folded", "tf32", "bfloat16")
"""In which numbers a network may compute; see `indexer.network.precision`."""

SHARD_SIZE: Final = 1024
BAD_IMAGES: Final = 100
"""On how many images a network may give NaN or infinity before a job ends."""

MAX_PIXELS: Final = 64_000_000
"""Largest width x height that is decoded unless told otherwise (192 MB of RGB)."""

SELECTIVE_AUC: Final = 0.9

Method = Literal["guided-backprop", "gradient", "integrated-gradients", "occlusion"]
METHODS: Final[tuple[str, ...]] = get_args(Method)
"""Of attribution."""

MISTAKE_SORTS: Final = ("confidence", "rank", "image")
"""Orders of mistakes; see `indexer.query.learning.answering.mistakes`."""

OUTPUT_IF_CHEAP, OUTPUT_AS_LISTED = "auto", "none"
"""Whether a build adds the layer that holds the network's output: if that costs little, or only if it is listed."""

LOGITS, PROBABILITIES, LOG_PROBABILITIES, MULTI_LABEL = "logits", "probabilities", "log-probabilities", "multi-label"
OUTPUT_KINDS: Final = (LOGITS, PROBABILITIES, LOG_PROBABILITIES, MULTI_LABEL)
"""What the values of an output layer may be; see `indexer.query.learning.answering.output_kind`."""

SHEET_FORMATS: Final = (".png", ".jpg", ".jpeg", ".pdf", ".svg")
SHEET_TILE: Final = 112
SHEET_CONTEXT: Final = 0.1

PAGE_NEURONS: Final = 16
PAGE_COLUMNS: Final = 8

EDITS: Final = ("silence", "scale", "clamp", "mean")
"""What can be done to a neuron; see `indexer.explain.edits`."""
ATLAS_POINTS: Final = 20_000
"""How many cells an atlas shows."""
MOST_ATLAS_POINTS: Final = 1_000_000
ATLAS_FITTED: Final = 20_000
"""How many of these t-SNE lays out."""
MOST_ATLAS_FITTED: Final = 100_000
ATLAS_PERPLEXITY: Final = 30

IMPORTANCE_IMAGES: Final = 100
"""On how many images silencing each neuron is tried."""
WHY_NEURONS: Final = 10
"""How many neurons for, and how many against, an answer are shown."""
GROUP_IMAGES: Final = 32
"""How many images of a group are explained."""
HALF_MAX: Final = 65504.0
"""Largest float16."""

EFFECTIVE_IMAGES: Final = 64
"""On how many images effective receptive fields are measured."""
Field = Literal["exact", "effective"]
FIELDS: Final[tuple[str, ...]] = get_args(Field)
"""Which receptive field a picture shows: all that could matter, or the part from which nearly all of the gradient comes
(`indexer.receptive_field.effective`)."""

SCORE_PATCHES: Final = 30
"""How many top patches of a neuron its scores are made of."""
MOST_SCORE_PATCHES: Final = 200
SCORE_POOLS: Final = ("box", "image")
"""Over which cells of another layer the vector of a patch is the mean: those in its receptive field, or all."""

TEXT_PATCHES: Final = 20
"""How many top patches of a neuron are encoded, so that texts find it."""
MOST_TEXT_PATCHES: Final = 200

DICTIONARY_METHODS: Final = ("kmeans", "nmf", "sae")
"""Ways to learn a dictionary; see `indexer.dictionaries`."""

MADE_WAYS: Final = ("fourier", "maco", "pixels")
"""Parametrisations of made images; see `indexer.synthesis.images.parametrisations`."""
MADE_AIMS: Final = ("mean", "centre")
"""Of optimal inputs; see `indexer.synthesis.recipe.Settings`."""
MADE_STEPS: Final = 256
MADE_RATE: Final = 0.05
MADE_BATCH: Final = 8
"""How many images are made at once on a CPU."""
FOOLING_NORMS: Final = ("l2", "linf")
"""How the change of an image is measured."""
