"""What is found by examples, and by a text."""
