"""Dictionaries of a layer: directions that are learned from its kept maps, without running the network again.

1. `sample` takes vectors of cells from an index, some of them of images that are held out.
2. `learn` learns a dictionary from them, by `kmeans`, `nmf` or `autoencoder`; the same seed gives the same dictionary.
3. `metrics` says how good it is on the held-out vectors; `foreign` reads dictionaries of other programs.

`indexer.jobs.derived.dictionary` keeps what a dictionary makes of every image as a layer of the index.
"""
