"""The HTTP service: a request, one query on an open index, an answer.

1. ``settings.Settings.read()`` takes flags and environment variables.
2. ``app.create_app(settings)`` makes the WSGI application; ``python -m service DIR`` serves it.

A request passes these files: ``http.contract`` (checked against openapi.yaml), ``handlers`` (which index, which view,
whether a kept answer will do), ``indexes.catalog`` (the open generation of the index), ``views`` (the query),
``payloads.records`` and ``payloads.links`` (records to JSON). Errors on the way are raised, and ``http.problems`` makes
one kind of body of them.
"""
