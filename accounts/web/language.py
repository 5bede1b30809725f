"""The reader's choice of a language, on every page."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.services import change_profile
from brokers.web.views import ONE_YEAR, next_page


@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Kept by this browser, and for whoever is signed in by the profile, which counts on every device. An
    unknown language changes nothing.
    """
    response = redirect(next_page(request))
    language = request.POST.get("language", "")
    if language not in dict(settings.LANGUAGES):
        return response
    person = request.user
    if isinstance(person, User):
        change_profile(
            user=person,
            first_name=person.first_name,
            last_name=person.last_name,
            language=language,
            time_zone=person.time_zone,
        )
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=ONE_YEAR,
        samesite="Lax",
        secure=request.is_secure(),
        httponly=True,
    )
    return response
