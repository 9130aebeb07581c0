"""Layers that a dictionary makes of another layer's maps.

1. `encoders` has what each method computes for a vector; `files` reads and writes dictionaries.
2. ``encoder(maps)`` gives the maps of the atoms; ``encoder.decode(codes)`` adds the atoms up again.
3. `indexer.index.encoded_names` says which names such layers have: ``LAYER~DICTIONARY``.
"""
