"""What every environment shares. What differs (secrets, hosts, debug) is in the environment's own module."""

from pathlib import Path
from typing import Any

import django_stubs_ext

from pamm_platform.settings.back_office import UNFOLD as UNFOLD
from pamm_platform.settings.sign_in import *  # noqa: F403

# Generic fields, managers and querysets (`TextField[str, str]`) at run time too; before any model is
# imported.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent.parent

INSTALLED_APPS = [
    "pamm_platform",
    "brokers",
    "trading",
    "outbox",
    "ledger",
    "transfers",
    "accounts",
    "offers",
    "allocation",
    "fees",
    "investing",
    "rollover",
    "track_record",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "djmoney",
    "rest_framework",
    "django_filters",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
]

MIDDLEWARE = [
    "pamm_platform.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "brokers.middleware.BrokerScopeMiddleware",
    "brokers.web.errors.RefusalMiddleware",
    "csp.middleware.CSPMiddleware",
    "brokers.web.middleware.StorableTextMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.SecondFactorMiddleware",
    "brokers.web.middleware.ReaderMiddleware",
]

# The role of web, worker and beat, to whom `secure_database` grants; it owns nothing.
DATABASE_APP_ROLE = "pamm_app"

ROOT_URLCONF = "pamm_platform.urls"
WSGI_APPLICATION = "pamm_platform.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# An e-mail address is unique per broker; whoever signs in is looked up in the broker of the host.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            # Template tags that belong to no app: how figures are written, the navigation.
            "libraries": {
                "figures": "pamm_platform.templatetags.figures",
                "cabinet": "pamm_platform.templatetags.cabinet",
            },
        },
    },
]

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# Cabinet, public pages and the API: nothing inline, nothing from elsewhere. Tabler draws the marks of its
# form controls as `data:` images. The back office has a policy of its own on its own path.
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "assets"]

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "COERCE_DECIMAL_TO_STRING": True,
    "EXCEPTION_HANDLER": "brokers.api.errors.problem_response",
}

# A worker that dies gives its claim up by lease; the queue only wakes workers, so nothing depends on
# redelivery.
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "dispatch-due-rollovers": {"task": "rollover.tasks.dispatch_due_rollovers_task", "schedule": 5.0},
    "refresh-statistics": {"task": "track_record.tasks.refresh_statistics_task", "schedule": 30.0},
    "tend-transfers": {"task": "rollover.tasks.tend_transfers_task", "schedule": 20.0},
}

# A balance operation without an answer is looked up at once, but sent again only after this long: longer than
# any call to a trading server may take, so that nobody is still waiting for the first one.
TRANSFER_RESEND_AFTER_SECONDS = 60.0
# A worker that has not renewed its claim on a rollover for this long is taken for dead.
ROLLOVER_LEASE_SECONDS = 180.0
ROLLOVER_SLICE_SIZE = 200
