"""Questions about the atlases of a layer: that of its cells, and that of its neurons."""
