"""The open indexes, and what is done before one is opened."""
