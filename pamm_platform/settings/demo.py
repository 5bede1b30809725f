"""The demo: development addresses, no debug pages, static files served without a collect step."""

from pamm_platform.settings.dev import *  # noqa: F403

DEBUG = False
INSTALLED_APPS = [*INSTALLED_APPS, "demo"]  # noqa: F405
WHITENOISE_USE_FINDERS = True
# Beside the database they are about: a new demo begins without the seals of the last.
STORAGES = STORAGES | {  # noqa: F405
    "seals": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": BASE_DIR / ".run" / "demo" / "seals"},  # noqa: F405
    },
    "statements": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": BASE_DIR / ".run" / "demo" / "statements", "base_url": None},  # noqa: F405
    },
}
SEAL_KEY_FILE = BASE_DIR / ".run" / "demo" / "seal-signing.key"  # noqa: F405
# Without it Django prints errors only when it debugs: a page that fails would leave no trace in the logs.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
