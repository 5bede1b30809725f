"""The floor: one page of a Django project as `startproject` makes it.

No database, nobody signed in, a template with a table of fifty rows.
"""

from functools import cache
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from tools.bench.web.timed import Timed

ROWS = 50
TEMPLATE = """<!doctype html><html lang="en"><head><title>Rows</title></head><body><h1>{{ title }}</h1><table>
{% for row in rows %}<tr><td>{{ row.name }}</td><td>{{ row.amount }}</td><td>{{ row.state }}</td></tr>
{% endfor %}</table></body></html>"""


def bare_page(request: HttpRequest) -> HttpResponse:
    rows: list[dict[str, Any]] = [
        {"name": f"Row {number}", "amount": number * 101, "state": "open"} for number in range(ROWS)
    ]
    return HttpResponse(_template().render({"title": "Rows", "rows": rows}, request))


@cache
def _template() -> Any:
    """Compiled once, as from the loader that production has."""
    return engines["django"].from_string(TEMPLATE)


urlpatterns = [path("", bare_page)]

settings.configure(
    DEBUG=False,
    SECRET_KEY="of the floor",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
    ],
    DATABASES={},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
application = Timed(get_wsgi_application())
