"""The explorer: the page at the root, and the files that it is made of."""

from flask import Response, request

from service import caching
from service.dispatch import Services


def get_root(services: Services) -> Response:
    explorer = services.explorer
    response = Response(explorer.page, content_type="text/html; charset=utf-8")
    return caching.finish(request, response, caching.tag(explorer.version), caching.REVALIDATE)


def get_explorer_file(services: Services, version: str, file: str) -> Response:
    explorer = services.explorer
    content, media_type = explorer.file(file)
    control = caching.FOR_EVER if version == explorer.version else caching.REVALIDATE
    return caching.finish(request, Response(content, content_type=media_type), caching.tag(content), control)
