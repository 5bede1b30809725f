"""Reading pages."""

import re
from html import unescape
from typing import Any


def text_of(answer: Any) -> str:
    """The words of a page with ordinary spaces, tags left out, minus signs as hyphens."""
    body = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    words = unescape(body).replace("\N{MINUS SIGN}", "-").replace("\N{NARROW NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", words.replace("\N{NO-BREAK SPACE}", " "))


def hidden_fields(answer: Any) -> dict[str, str]:
    """A form's hidden inputs, the token left out: what it sends besides what people type."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', answer.content.decode())
    return {name: value for name, value in found if name not in ("csrfmiddlewaretoken", "next")}
