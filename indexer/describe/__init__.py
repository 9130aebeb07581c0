"""Names for neurons by machine: concepts that an image-text encoder finds in what they fire for, or their classes.

1. ``encoder = load_encoder("my_module:factory")`` makes an `encoder.Encoder`: two functions, a name and a digest.
2. ``describe(index, "layer4", encoder, concepts)`` scores every concept for every neuron, and checks the best of them
   on images that it did not look at.
3. ``from_classes(index, "layer4")`` needs no encoder: it gives what the classes tell.
4. ``find_by_text(index, "layer4", encoder, "a wheel")`` ranks neurons by a text, once their patches are encoded.

Each name is a proposal; a person accepts or refuses it.
"""
