"""The engine: what is wanted of an image, as a number that steps make larger."""
