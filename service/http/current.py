"""The request that a thread is answering."""

from typing import cast

import flask
from flask import Request
from werkzeug.local import LocalProxy


def current_request() -> Request:
    """The request itself. `flask.request` stands for it, and looks it up at every use."""
    return cast(LocalProxy[Request], flask.request)._get_current_object()
