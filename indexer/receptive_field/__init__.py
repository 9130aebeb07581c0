"""Which input pixels can influence which cells of a layer.

1. `trace.trace_layers(model, ["features.12"], (height, width))` gives a `LayerTrace` per layer.
2. `trace.field.box(y, x)` is the box of input pixels of one cell; `trace.field.kind` says whether it is exact.
3. `field.to_json()` and `ReceptiveField.from_json` keep it in a manifest.

Inside: `graph` traces the model with torch.fx on a copy without weights; `propagate` sends a `flow` through the graph,
which says for each element of each tensor what it sees; the `rules_*` files say what each operation does to it;
`readout` turns the flow at a layer into its field.

The arithmetic is that of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019, carried out on the intervals of every cell at the actual input size, so that borders, ceil mode, adaptive
pooling and branches are exact. A field is the hull of all pixels with influence: holes left by dilation belong to it,
and so does what any one of the layer's channels sees.
"""

from indexer.receptive_field.field import (  # not `trace`: reading an index needs no torch
    AxisField,
    LayerTrace,
    ReceptiveField,
)

__all__ = ["AxisField", "LayerTrace", "ReceptiveField"]
