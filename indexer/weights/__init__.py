"""Weights files: read without running code (`files`), matched with what a network expects (`matching`), put into it
(`into`)."""
