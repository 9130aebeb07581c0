"""What a network wants of a picture, from whoever says it, in whatever form.

1. ``told = understood(given, "the factory")`` reads a dict, a preset, a ``Compose``, timm's data config (`forms`).
2. ``told.with_options({"crop": 32})`` adds what a person said on the command line, which comes first.
3. ``told.complete(model)`` is a `indexer.images.preprocessing.Preprocessing`, or an error that names what is missing.

Nothing is assumed that nobody said. `upscaling` looks at pictures before the work starts.
"""
