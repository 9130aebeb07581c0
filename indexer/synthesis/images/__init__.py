"""Images as numbers that can be changed: colours, waves, what photographs have in common, other views."""
