"""Commands that say what a network has learned, and why it answers so."""
