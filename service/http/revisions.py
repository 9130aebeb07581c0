"""Revisions of what people write: the ETag of a note begins with its revision, and a change names the one seen.

The rest of the ETag is a digest of the answer. What people wrote has links to what they wrote about, and those come and
go with indexes, though nobody writes anything.
"""

import re
from typing import Final

from flask import Request, Response
from werkzeug.http import quote_etag

from service.errors import RevisionMissing, RevisionReplaced
from service.http import etags

# A proxy that compresses makes strong tags weak; a revision is the same in every coding.
_REVISION: Final = re.compile(r'(?:W/)?"([0-9]{1,15})(?:-[0-9a-f]+)?"')


def seen_revision(request: Request) -> int | None:
    """The revision that ``If-Match`` names, as an ETag or by its number alone; None for ``*``, whatever is there.

    Raises
    ------
    RevisionMissing
    RevisionReplaced
        It names no revision of a note.
    """
    given = request.headers.get("If-Match", "").strip()
    if not given:
        raise RevisionMissing('send If-Match with the ETag that you have seen, such as "3", or "0" for what is new')
    if given == "*":
        return None
    revision = _REVISION.fullmatch(given)
    if revision is None:
        raise RevisionReplaced('If-Match must be the ETag of this, such as "3", or *')
    return int(revision[1])


def finish(request: Request, response: Response, revision: int) -> Response:
    """Tag an answer with its revision and digest, or say that the client has it."""
    etag = f"{revision}-{etags.tag(response.get_data())}"
    headers = {"ETag": quote_etag(etag), "Cache-Control": etags.REVALIDATE}
    if request.method in ("GET", "HEAD") and (request.if_none_match.star_tag or etags.known(request, etag)):
        return Response(status=304, headers=headers)
    response.headers.update(headers)
    return response
