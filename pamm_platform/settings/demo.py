"""The demo: development addresses, no debug pages, static files served without a collect step."""

from pamm_platform.settings.dev import *  # noqa: F403

DEBUG = False
INSTALLED_APPS = [*INSTALLED_APPS, "demo"]  # noqa: F405
WHITENOISE_USE_FINDERS = True
# Without it Django prints errors only when it debugs: a page that fails would leave no trace in the logs.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
