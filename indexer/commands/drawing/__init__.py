"""Commands that make pictures, or files to hand on."""
