"""An atlas of a layer: cells of its maps in two dimensions, those with alike vectors next to each other.

1. ``choose(images, cells, points, rng)`` (`indexer.atlas.points`) draws cells by lot.
2. ``fitted_layout(...)`` (`indexer.atlas.fitting`) lays some out by t-SNE; ``Placing`` puts others between these.
3. ``kept_share(...)`` (`indexer.atlas.kept`) measures how many true neighbours a layout keeps.
"""
