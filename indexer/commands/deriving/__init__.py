"""Commands that make something of a finished index and keep it there."""
