"""The demo: development addresses, no debug pages, static files served without a collect step."""

from pamm_platform.settings.dev import *  # noqa: F403

DEBUG = False
INSTALLED_APPS = [*INSTALLED_APPS, "demo"]  # noqa: F405
WHITENOISE_USE_FINDERS = True
