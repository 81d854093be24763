"""Model cards: Markdown from people nobody vetted, made into HTML that can do nothing but be read.

Laws: no script, style, image, form or raw HTML survives; a link leaves the hub or does not exist (http, https, mailto;
never relative, so that a card cannot pose as a part of the hub); headings start below the page's own.
"""

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from itertools import pairwise

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from hub.domain.cards import read_card

MAX_MARKDOWN_CHARS = 60_000
"""Longer cards are shown as they were typed: the parser spends about 20 µs on the worst characters."""
_HEADING_SHIFT = 2
_TAGS = frozenset(
    "a blockquote br code del em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()  # noqa: SIM905
)
_ATTRIBUTES: dict[str, set[str]] = {"a": {"href"}, "ol": {"start"}}
_ALIGNED = {"td": {"end", "center"}, "th": {"end", "center"}}


def _image_as_link(
    _renderer: RendererProtocol, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType
) -> str:
    token = tokens[index]
    source = escape(str(token.attrs.get("src", "")), quote=True)
    return f'<a href="{source}">{escape(token.content or "image")}</a>'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("js-default", {"maxNesting": 20})
    parser.add_render_rule("image", _image_as_link)
    return parser


_PARSER = _parser()


@lru_cache(maxsize=128)
def card_html(card: str) -> Markup:
    """Render a card.

    Args:
        card: Markdown as it was pushed, at most ``protocol.schemas.MAX_CARD_CHARS`` long.

    Returns:
        Sanitised HTML, safe to put into a page as it is.
    """
    text = read_card(card).text
    if len(text) > MAX_MARKDOWN_CHARS:
        return Markup("<pre>{}</pre>").format(text)
    tokens = _PARSER.parse(text)
    for token in tokens:
        _fit_into_page(token)
    html = str(_PARSER.renderer.render(tokens, _PARSER.options, {}))
    clean = nh3.clean(
        html,
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        allowed_classes=_ALIGNED,
        url_schemes={"http", "https", "mailto"},
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)  # noqa: S704  (sanitised one line above)


def _fit_into_page(token: Token) -> None:
    if token.tag[:1] == "h" and token.tag[1:].isdigit():
        token.tag = f"h{min(6, int(token.tag[1:]) + _HEADING_SHIFT)}"
    style = token.attrs.pop("style", None) if token.tag in _ALIGNED else None
    if style == "text-align:right":
        token.attrSet("class", "end")
    elif style == "text-align:center":
        token.attrSet("class", "center")


@lru_cache(maxsize=512)
def card_summary(card: str) -> str:
    """The card's first paragraph as plain text, for lists; empty where it has none."""
    tokens = _PARSER.parse(read_card(card).text[:2_000])
    for before, token in pairwise(tokens):
        if before.type == "paragraph_open" and before.level == 0:
            pieces = (" " if child.type.endswith("break") else child.content for child in token.children or ())
            return "".join(pieces).strip()
    return ""
