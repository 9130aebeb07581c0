"""Markdown becomes HTML that can do nothing."""

from html.parser import HTMLParser

import pytest

from service.notes.about.markdown import ATTRIBUTES, TAGS, to_html
from tests.service.markdown_attacks import SCRIPTS


class Read(HTMLParser):
    """Every element and attribute that a browser would make."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.odd: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


@pytest.mark.parametrize("attack", SCRIPTS)
@pytest.mark.parametrize("around", ["{}", "- text {} text", "[{}](https://ok.example)"])
def test_no_attack_leaves_more_than_text(attack: str, around: str) -> None:
    read = Read(to_html(around.format(attack)))
    assert read.odd == []
    for tag, attributes in read.tags:
        assert tag in TAGS
        assert attributes.keys() <= ATTRIBUTES.get(tag, set()) | ({"rel"} if tag == "a" else set())
        if "href" in attributes:
            assert (attributes["href"] or "").startswith("https://")
            assert attributes["rel"] == "noopener noreferrer nofollow ugc"


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d</code></p>\n"),
        ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n"),
        ("![a wheel](https://x.example/w.png)", None),
        (
            "[a](http://x.example/?q=1&r=2)",
            '<p><a href="http://x.example/?q=1&amp;r=2" rel="noopener noreferrer nofollow ugc">a</a></p>\n',
        ),
        ("[a](javascript:b)", "<p>[a](javascript:b)</p>\n"),
        ("a < b & c", "<p>a &lt; b &amp; c</p>\n"),
        ("", ""),
    ],
)
def test_what_is_meant_is_shown(markdown: str, html: str | None) -> None:
    made = to_html(markdown)
    if html is None:
        assert "<img" not in made
        assert "a wheel" in made
    else:
        assert made == html


@pytest.mark.parametrize("markdown", ["[" * 4000, ">" * 9000, "*" * 9000, "- " * 9000, "`" * 9000, "<" * 9000])
def test_what_nests_deeply_is_shown_all_the_same(markdown: str) -> None:
    assert Read(to_html(markdown)).odd == []
