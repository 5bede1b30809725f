"""Reading pages."""

from typing import Any

from tests.offers.drafts import plain


def text_of(answer: Any) -> str:
    """What a page says, with ordinary spaces between a figure and its unit."""
    return plain(answer.content.decode())
