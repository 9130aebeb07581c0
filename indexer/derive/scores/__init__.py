"""Scores of neurons: how alike the patches are for which each fires, and how alike two neurons' are.

1. ``PatchVectors(layer, by, pool, size)`` (`indexer.derive.scores.vectors`) makes a vector of each patch, from the kept
   maps of another layer.
2. `indexer.derive.scores.measures` has the definitions: clarity, polysemanticity, redundancy.
3. ``write_scores(...)`` (`indexer.derive.scores.writing`) writes those of a layer to a derived file, and
   ``read_scores(...)`` (`indexer.derive.scores.file`) reads it.
"""
