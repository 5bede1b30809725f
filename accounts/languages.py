"""In which language a page is: the person's own choice, else this browser's, else the broker's."""

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header

from accounts.models import User


class LanguageMiddleware(LocaleMiddleware):
    """Needs the broker and the signed-in person: stands after both in `MIDDLEWARE`."""

    def process_request(self, request: HttpRequest) -> None:
        translation.activate(language_of(request))
        request.LANGUAGE_CODE = translation.get_language()


def language_of(request: HttpRequest) -> str:
    """One of `LANGUAGES`."""
    own = request.user.language if isinstance(request.user, User) else ""
    accepted = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    wanted = [own, request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, ""), *(code for code, _q in accepted)]
    broker = request.broker  # type: ignore[attr-defined]
    for code in (*wanted, broker.language):
        try:
            return get_supported_language_variant(code)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE
