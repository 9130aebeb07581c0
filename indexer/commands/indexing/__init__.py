"""Commands that make an index, change it or look after it."""
