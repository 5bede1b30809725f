"""The Celery application: workers and beat start from here."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

from pamm_platform.consumer import UnansweredAcknowledgements

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pamm_platform.settings.dev")

app = Celery("pamm_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["consumer"].add(UnansweredAcknowledgements)


@worker_init.connect
@beat_init.connect
def refuse_privileged_role(**kwargs: Any) -> None:
    """Celery logs and forgets what a signal's receiver raises, SystemExit excepted."""
    from django.core.exceptions import ImproperlyConfigured

    from pamm_platform import roles

    try:
        roles.refuse_privileged_role()
    except ImproperlyConfigured as refusal:
        raise SystemExit(str(refusal)) from refusal
