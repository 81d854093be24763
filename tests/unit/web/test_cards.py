"""Cards come from people nobody vetted."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.web.cards import MAX_MARKDOWN_CHARS, card_html, card_summary

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<style>body{display:none}</style>",
    '<form action="/logout" method="post"><button>click</button></form>',
    "<iframe src='//evil.example'></iframe>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:msgbox)",
    "[a](&#106;avascript:alert(1))",
    "![x](javascript:alert(1))",
    '![x](https://evil.example/"onload="alert(1))',
    "<https://evil.example/'onmouseover='alert(1)>",
    "`<script>`</code><script>alert(1)</script>",
    "[a]: javascript:alert(1)\n[a]",
    "| a |\n|---|\n| <script>x</script> |",
]
ALLOWED_TAG = re.compile(
    r"</?(?:a|blockquote|br|code|del|em|h[3-6]|hr|li|ol|p|pre|s|strong|table|tbody|td|th|thead|tr|ul)(?: [^<>]*)?>"
)
ALLOWED_ATTRIBUTE = re.compile(
    r'(?:href="(?:https?:|mailto:)[^"<>]*"|rel="noopener noreferrer nofollow"|start="\d+"|class="(?:end|center)")'
)


def attributes_of(tag: str) -> list[str]:
    return re.findall(r'[a-z-]+="[^"]*"', tag)


def assert_harmless(html: str) -> None:
    for tag in re.findall(r"<[^>]*>", html):
        assert ALLOWED_TAG.fullmatch(tag), tag
        attributes = attributes_of(tag)
        assert all(ALLOWED_ATTRIBUTE.fullmatch(attribute) for attribute in attributes), tag
        assert tag.count("=") <= sum(attribute.count("=") for attribute in attributes), tag


@pytest.mark.parametrize("card", HOSTILE)
def test_a_hostile_card_becomes_harmless(card: str) -> None:
    assert_harmless(str(card_html(card)))


@given(
    st.lists(st.sampled_from([*HOSTILE, "[", "](", ")", "<a href=", "'", '"', ">", "`", "\n", "\n\n", "# ", "|", "x"]))
)
def test_no_mixture_of_hostile_pieces_gets_through(pieces: list[str]) -> None:
    assert_harmless(str(card_html("".join(pieces))))


def test_links_leave_the_hub_or_do_not_exist() -> None:
    html = str(card_html("[out](https://example.org/a) [in](/logout) [up](../../admin) [other](//evil.example)"))
    assert html.count("href=") == 1
    assert 'href="https://example.org/a"' in html


def test_an_image_is_a_link_so_that_no_reader_is_tracked() -> None:
    html = str(card_html("![the curve](https://example.org/curve.png)"))
    assert "<img" not in html
    assert '<a href="https://example.org/curve.png" rel="noopener noreferrer nofollow">the curve</a>' in html


def test_headings_start_below_those_of_the_page() -> None:
    html = str(card_html("# One\n\n## Two\n\nSetext\n===\n\n###### Six"))
    assert re.findall(r"<(h\d)>", html) == ["h3", "h4", "h3", "h6"]


def test_tables_keep_their_alignment_without_inline_style() -> None:
    html = str(card_html("| a | b |\n|:-:|--:|\n| 1 | 2 |"))
    assert "style=" not in html
    assert '<td class="center">1</td>' in html
    assert '<td class="end">2</td>' in html


def test_a_card_that_is_too_long_to_parse_is_shown_as_typed() -> None:
    html = str(card_html("<b>" + "[" * MAX_MARKDOWN_CHARS))
    assert html.startswith("<pre>&lt;b&gt;[[[")


def test_the_summary_is_the_first_paragraph_without_markup() -> None:
    assert card_summary("# Title\n\nTells **shapes**\nfrom [colours](https://x.example).\n\nMore.") == (
        "Tells shapes from colours."
    )


def test_a_card_without_a_paragraph_has_no_summary() -> None:
    assert card_summary("# Only a title\n\n- and a list") == ""
