"""The test settings with a beat in some hurry and small slices, for real workers that compete for them."""

import os

from pamm_platform.settings.test import *  # noqa: F403

TICK_SECONDS = float(os.environ.get("TEST_TICK_SECONDS", "1"))
CELERY_BEAT_SCHEDULE = {
    "dispatch-due-rollovers": {
        "task": "rollover.tasks.dispatch_due_rollovers_task",
        "schedule": TICK_SECONDS,
    },
    "tend-transfers": {"task": "rollover.tasks.tend_transfers_task", "schedule": 4 * TICK_SECONDS},
}
# What is published goes to one queue and workers take from another: tests stand in between and repeat,
# shuffle or lose it.
PUBLISHED, DELIVERED = "published", "delivered"
CELERY_TASK_DEFAULT_QUEUE = PUBLISHED
ROLLOVER_SLICE_SIZE = 2
# Long enough for a message to come to its turn behind all the others on a busy machine.
ROLLOVER_REDISPATCH_SECONDS = float(os.environ.get("TEST_REDISPATCH_SECONDS", "4"))
ROLLOVER_LEASE_SECONDS = float(os.environ.get("TEST_LEASE_SECONDS", "3"))
TRANSFER_LOOKUP_SECONDS = (float(os.environ.get("TEST_LOOKUP_SECONDS", "1")),)
if "TEST_QUEUE_TIMEOUT" in os.environ:
    _timeout = float(os.environ["TEST_QUEUE_TIMEOUT"])
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "socket_connect_timeout": _timeout / 2,
        "socket_timeout": _timeout,
        "socket_keepalive": True,
        "retry_on_timeout": True,
        "health_check_interval": 1,
    }

# For tests in which nobody dies and nothing is lost: a machine that stands still for some seconds is not
# taken for a dead worker or a lost answer, and ticks that come many times leave a slow one time for its work.
UNHURRIED = {
    "TEST_LEASE_SECONDS": "60",
    "TEST_LOOKUP_SECONDS": "30",
    "TEST_REDISPATCH_SECONDS": "30",
    "TEST_TICK_SECONDS": "3",
}
# For tests that take Redis away: what takes ten seconds and more in production, waited for more briefly.
SHORT_QUEUE_TIMEOUT = {"TEST_QUEUE_TIMEOUT": "2"}
