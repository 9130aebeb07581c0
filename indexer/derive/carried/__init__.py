"""Files of a layer that outlive a generation: atlases, effective fields, and vectors of patches."""
