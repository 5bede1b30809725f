"""Pages of statements."""

from collections.abc import Iterator

from django.urls import URLPattern, path

from statements.models import StatementKind
from statements.web import explanations, files, pages

app_name = "statements"

PREFIXES = {
    StatementKind.INVESTOR: "statements/",
    StatementKind.MANAGER: "manage/statements/",
    StatementKind.AGENT: "agent/statements/",
}


def _of_kind(kind: StatementKind, prefix: str) -> Iterator[URLPattern]:
    """One's own, and a client's for the broker's staff."""
    for below, suffix in (("", ""), ("of/<uuid:public_id>/", "-of")):
        known = {"kind": kind}
        yield path(f"{prefix}{below}", pages.statement_page, known, name=f"{kind}-page{suffix}")
        yield path(f"{prefix}{below}statement.csv", pages.statement_csv, known, name=f"{kind}-csv{suffix}")
        yield path(f"{prefix}{below}statement.pdf", pages.statement_pdf, known, name=f"{kind}-pdf{suffix}")
        yield path(f"{prefix}{below}prepare/", files.prepare, known, name=f"{kind}-prepare{suffix}")


urlpatterns = [
    path("statements/charges/<uuid:public_id>/", explanations.charge_page, name="charge"),
    path("statements/files/", files.files_page, name="files"),
    path("statements/files/<uuid:public_id>/", files.file_page, name="file"),
    path("statements/files/<uuid:public_id>/progress/", files.file_progress, name="file-progress"),
    path("statements/files/<uuid:public_id>/retry/", files.retry, name="retry"),
    path("statements/files/<uuid:public_id>/download/", files.download, name="download"),
    path("statements/movements/<uuid:public_id>/", explanations.movement_page, name="movement"),
    *(pattern for kind, prefix in PREFIXES.items() for pattern in _of_kind(kind, prefix)),
]
