"""The format of an index: its files, its manifest, who may write it, and how HDF5 files are mapped."""
