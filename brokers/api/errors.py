"""What the API answers when something is refused, missing or wrong: `application/problem+json` (RFC 9457)."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import exception_handler

from brokers.errors import NotAllowed, NotFound, Refusal


class ProblemRenderer(JSONRenderer):
    media_type = "application/problem+json"


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler.

    Every body has type, title, status, code, request_id and, where inputs are at fault, fields.
    `code` is stable; `fields` maps an input to a list of {code, message}. None for what is a bug: that is a
    500.
    """
    if isinstance(error, Http404):
        error = NotFound()
    elif isinstance(error, PermissionDenied):
        error = NotAllowed()
    if isinstance(error, Refusal):
        fields = {error.field: [{"code": error.code, "message": str(error)}]} if error.field else {}
        return _problem(context, status=error.status, code=error.code, title=str(error), fields=fields)
    answer = exception_handler(error, context)
    if answer is None or not isinstance(error, exceptions.APIException):
        return answer
    if isinstance(error, exceptions.ValidationError):
        title = _("Some inputs are not acceptable.")
        problem = _problem(
            context, status=422, code="invalid_input", title=title, fields=_fields(error.get_full_details())
        )
    else:
        problem = _problem(
            context, status=error.status_code, code=_code(error), title=str(error.detail), fields={}
        )
    for header in ("WWW-Authenticate", "Retry-After", "Allow"):
        if header in answer:
            problem[header] = answer[header]
    return problem


def _problem(
    context: dict[str, Any], *, status: int, code: str, title: str, fields: dict[str, list[dict[str, str]]]
) -> Response:
    request = context.get("request")
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "request_id": getattr(getattr(request, "_request", request), "request_id", None),
    }
    if fields:
        body["fields"] = fields
    response = Response(body, status=status, content_type=ProblemRenderer.media_type)
    if request is not None:
        request.accepted_renderer, request.accepted_media_type = ProblemRenderer(), ProblemRenderer.media_type
    return response


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else error.default_code


def _fields(details: Any, name: str = "") -> dict[str, list[dict[str, str]]]:
    """Flattens nested details: `{"legs": [{"amount": […]}]}` becomes `{"legs.0.amount": […]}`."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        return {name: [{"code": str(details["code"]), "message": str(details["message"])}]}
    pairs = details.items() if isinstance(details, dict) else enumerate(details)
    fields: dict[str, list[dict[str, str]]] = {}
    for key, inner in pairs:
        is_error = isinstance(details, list) and isinstance(inner, dict) and set(inner) == {"message", "code"}
        deeper = name if is_error else f"{name}.{key}".lstrip(".")
        for field, errors in _fields(inner, deeper).items():
            fields.setdefault(field, []).extend(errors)
    return fields
