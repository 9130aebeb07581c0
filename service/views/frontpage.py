"""The explorer: the page at the root, and the page's files."""

from flask import Response, request

from service.http import etags
from service.questions import Services


def get_root(services: Services) -> Response:
    explorer = services.explorer
    response = Response(explorer.page, content_type="text/html; charset=utf-8")
    return etags.finish(request, response, etags.tag(explorer.version), etags.REVALIDATE)


def get_explorer_file(services: Services, version: str, file: str) -> Response:
    explorer = services.explorer
    content, media_type = explorer.file(file)
    control = etags.FOR_EVER if version == explorer.version else etags.REVALIDATE
    return etags.finish(request, Response(content, content_type=media_type), etags.tag(content), control)
