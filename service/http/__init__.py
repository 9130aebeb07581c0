"""Requests and responses, whichever index is asked: contract, problems, paging, caches, headers."""
