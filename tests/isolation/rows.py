"""A row in every table of a broker, so that there is always something a stranger could see."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import models
from django.utils import timezone

from brokers.fence import THIRD_PARTY
from brokers.scope import current_broker_id
from brokers.tenancy import TenantModel
from ledger.models import Posting

TENANT_MODELS: list[type[models.Model]] = [
    model for model in apps.get_models() if issubclass(model, TenantModel)
]
THIRD_PARTY_MODELS: list[type[models.Model]] = [
    model for model in apps.get_models() if model._meta.db_table in THIRD_PARTY
]


def fill_every_table() -> dict[type[models.Model], Any]:
    """One row of each tenant and third-party table of the broker in scope, made where there is none."""
    return {model: one_row(model) for model in TENANT_MODELS + THIRD_PARTY_MODELS}


def one_row(model: Any) -> Any:
    found = model.objects.first()
    if found is not None:
        return found
    values = {
        field.attname: _sample(field)
        for field in model._meta.concrete_fields
        if not (field.null or field.has_default() or field.primary_key or _is_automatic(field))
    }
    if model._meta.pk.get_internal_type() == "CharField":
        values[model._meta.pk.attname] = f"of-broker-{current_broker_id()}"
    return model.objects.create(**values)


def _is_automatic(field: Any) -> bool:
    return field.generated or getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False)


def _sample(field: Any) -> Any:
    if field.is_relation:
        return one_row(field.related_model).pk
    if field.choices:
        return field.choices[0][0]
    if field.model is Posting and field.name == "amount":
        return Decimal(0)
    if field.name == "end_day":
        return timezone.now().date() + timedelta(days=1)
    samples = {
        "DateTimeField": timezone.now(),
        "DateField": timezone.now().date(),
        "BinaryField": bytes(32),
        "JSONField": {},
        "BooleanField": False,
        "CharField": f"x{current_broker_id()}",
        "TextField": "x",
        "EmailField": "x@example.com",
        "UUIDField": "00000000-0000-7000-8000-000000000001",
    }
    return samples.get(field.get_internal_type(), 1)
