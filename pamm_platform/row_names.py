"""Names of apps, models and fields that nobody wrote: Django derives them from the code, in English only.

The back office shows them; each becomes translatable when its model gets pages there.
"""

from django.apps import apps
from django.db import models
from django.utils.translation import pgettext_lazy

CONTEXT = "name in the back office"

_known: set[str] = set()
_done: set[type[models.Model]] = set()


def known_names() -> list[str]:
    """All that were made translatable so far, for the catalogues."""
    return sorted(_known)


def make_names_translatable(model: type[models.Model]) -> None:
    """Of the model, its fields and its app, where they are derived."""
    meta = model._meta
    if model in _done:
        return
    _done.add(model)
    if "verbose_name_plural" not in meta.original_attrs:
        meta.verbose_name_plural = _translatable(str(meta.verbose_name_plural))
    if "verbose_name" not in meta.original_attrs:
        meta.verbose_name = _translatable(str(meta.verbose_name))
    for field in meta.local_fields:
        # Written names are lazy texts already.
        if isinstance(field.verbose_name, str) and not field.auto_created:
            field.verbose_name = _translatable(field.verbose_name)
    app = apps.get_app_config(meta.app_label)
    if isinstance(app.verbose_name, str):
        app.verbose_name = _translatable(app.verbose_name)


def _translatable(name: str) -> str:
    _known.add(name)
    lazy: str = pgettext_lazy(CONTEXT, name)  # type: ignore[assignment]
    return lazy
