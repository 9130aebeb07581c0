"""Records of an index as JSON, with links."""
