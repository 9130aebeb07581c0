"""Markdown -> HTML that can do nothing: no scripts, no pictures, and links to http and https only.

Two libraries that know nothing of each other both have to let a thing pass: markdown-it-py, which takes raw HTML for
text, and nh3 (ammonia), which drops every element and attribute that is not named here.
"""

import re
from functools import lru_cache
from typing import Final

from indexer.errors import NotInstalled

TAGS: Final = frozenset({
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul", "s",
})  # fmt: skip
ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES: Final = frozenset({"http", "https"})
LINK_RELATION: Final = "noopener noreferrer nofollow ugc"
_LINK: Final = re.compile(r"https?://", re.IGNORECASE)
_KEPT: Final = 256


@lru_cache(maxsize=_KEPT)
def to_html(markdown: str) -> str:
    """HTML of a note, to be put into a page as it is.

    A picture becomes its description, and a link that leads elsewhere than to http or https becomes its text.

    Raises
    ------
    NotInstalled
    """
    try:
        import nh3
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise NotInstalled("notes need packages that are not installed: install unitscope[notes]") from error

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False})
    parser.enable(["table", "strikethrough"]).disable("image")
    parser.validateLink = lambda url: bool(_LINK.match(url))  # type: ignore[method-assign]
    return nh3.clean(
        parser.render(markdown), tags=set(TAGS), attributes=ATTRIBUTES, url_schemes=set(SCHEMES),
        link_rel=LINK_RELATION, strip_comments=True,
    )  # fmt: skip
