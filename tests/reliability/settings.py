"""The test settings with a beat in some hurry and small slices, for real workers that compete for them."""

from pamm_platform.settings.test import *  # noqa: F403

TICK_SECONDS = 1.0
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
ROLLOVER_REDISPATCH_SECONDS = 4.0
# What takes ten seconds and more in production is worth waiting for in a test as well, but not as long.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 1,
    "socket_timeout": 2,
    "socket_keepalive": True,
    "retry_on_timeout": True,
    "health_check_interval": 1,
}
