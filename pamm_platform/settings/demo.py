"""The demo: development addresses, no debug pages, static files served without a collect step."""

from pamm_platform.settings.dev import *  # noqa: F403

DEBUG = False
WHITENOISE_USE_FINDERS = True
