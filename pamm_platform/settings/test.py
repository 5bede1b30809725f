"""Tests: the same real services, cheap password hashing. Fixtures set the addresses."""

from pamm_platform.settings.dev import *  # noqa: F403

DEBUG = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Tests kill workers and lose answers on purpose, and wait for what follows.
TRANSFER_LOOKUP_SECONDS = (1.0,)
ROLLOVER_READING_PAUSES = (0.0, 0.0)
ROLLOVER_LEASE_SECONDS = 3.0
