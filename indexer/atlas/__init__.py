"""An atlas of a layer: cells of its maps in two dimensions, those with alike vectors next to each other.

1. ``choose(index, layer, points, seed)`` (`indexer.atlas.points`) draws cells by lot, and ``vectors_of`` reads theirs.
2. ``fitted_layout(...)`` (`indexer.atlas.fitting`) lays some out by t-SNE; ``Placing`` puts others between these.
3. ``kept_share(...)`` (`indexer.atlas.kept`) measures how many true neighbours a layout keeps.
"""
