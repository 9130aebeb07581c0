"""The activations of a layer for other programs: as data sets of torch, and as files."""
