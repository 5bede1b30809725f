"""Every route of the platform, from the URL resolver: a new one is tested without being named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True, slots=True)
class Route:
    """`name` with its namespaces; `parameters` in the order of the path; `template` with `{}` for each."""

    name: str
    parameters: tuple[str, ...]
    template: str

    def address(self, *values: object) -> str:
        return "/" + self.template.format(*values)


def routes() -> list[Route]:
    """All of them, in the order in which they are tried."""
    return list(_below(get_resolver(), "", ()))


def _below(resolver: URLResolver, path: str, namespaces: tuple[str, ...]) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        here = path + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = (*namespaces, entry.namespace) if entry.namespace else namespaces
            yield from _below(entry, here, inner)
        elif isinstance(entry, URLPattern):
            template, parameters = _template(here)
            # Admin's last resort has no name; its path is one.
            yield Route(":".join((*namespaces, entry.name or here)), parameters, template)


def _template(pattern: str) -> tuple[str, tuple[str, ...]]:
    parameters: list[str] = []

    def note(match: re.Match[str]) -> str:
        parameters.append(match["typed"] or match["group"])
        return "{}"

    plain = re.sub(r"\(\?P<(?P<group>\w+)>[^()]*\)|<(?:\w+:)?(?P<typed>\w+)>", note, pattern)
    return re.sub(r"[\^$\\]|\(\?:.*\)", "", plain), tuple(parameters)
