"""The page at /docs: every operation of the contract."""
