"""What every environment shares. What differs (secrets, hosts, debug) is in the environment's own module."""

from pathlib import Path
from typing import Any

import django_stubs_ext

from pamm_platform.settings.back_office import UNFOLD as UNFOLD
from pamm_platform.settings.queue_and_cache import *  # noqa: F403
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
    "statements",
    "events",
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
    # Before WhiteNoise, whose files are stored compressed in production and then pass as they are, but not in
    # the demo. Pages carry random padding and a masked token, against guessing by their length.
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "brokers.middleware.BrokerScopeMiddleware",
    "brokers.web.errors.RefusalMiddleware",
    "csp.middleware.CSPMiddleware",
    "brokers.web.middleware.StorableTextMiddleware",
    "brokers.web.middleware.WidgetMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.languages.LanguageMiddleware",
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
# Each in its own words: whoever looks for his language must find it in a page he cannot read.
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
FORMAT_MODULE_PATH = "pamm_platform.formats"
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

# The page of every component, `/design/`: for who builds or judges pages, not for a broker's clients.
SHOWS_DESIGN_PAGE = False

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
    "inspect-servers": {"task": "rollover.tasks.inspect_servers_task", "schedule": 600.0},
    "deliver-events": {"task": "events.tasks.deliver_events_task", "schedule": 5.0},
    "send-mails": {"task": "events.tasks.send_mails_task", "schedule": 30.0},
    "seal-books": {"task": "rollover.tasks.seal_books_task", "schedule": 600.0},
    "tend-statement-files": {"task": "statements.tasks.tend_files_task", "schedule": 30.0},
}

# A balance operation without an answer is looked up after each of these pauses in turn, and sent again only
# when a complete history did not hold it after the last: together they are longer than any call to a trading
# server may take, so that nobody is still waiting for the first one.
TRANSFER_LOOKUP_SECONDS: tuple[float, ...] = (5.0, 15.0, 60.0)
# Figures of a trading server that do not add up are read again after each of these pauses, then hold the
# account.
ROLLOVER_READING_PAUSES: tuple[float, ...] = (0.5, 2.0)
# A worker that has not renewed its claim on a rollover for this long is taken for dead.
ROLLOVER_LEASE_SECONDS = 180.0
# A rollover that was handed out this long ago and that nobody works on is handed out again: its message, or
# all of Redis, is taken for lost.
ROLLOVER_REDISPATCH_SECONDS = 60.0
# Investments whose intervals end at the rollovers of a slice: from so many on they are crystallised in bulk.
ROLLOVER_BULK_FROM = 100
ROLLOVER_SLICE_SIZE = 200
# Each night after this hour of the broker's zone all balance operations of the last days are compared with
# the trading server's, both ways.
INSPECTION_HOUR = 3
INSPECTION_DAYS = 35

# What happened longer ago than this is told as something already read, and by no e-mail: after a long
# standstill, and of a past that was loaded, nobody wants a flood.
NOTIFICATIONS_OLD_AFTER_HOURS = 48.0
# Where a broker's pages are reached from e-mails; `{host}` is the broker's (first) host name.
PUBLIC_ADDRESS = "https://{host}"

# A statement's file that was handed out this long ago and that nobody works on is handed out again.
STATEMENT_REDISPATCH_SECONDS = 60.0

# Where the seals of the books are exported: anywhere that whoever can change the database cannot.
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "seals": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": BASE_DIR / ".run" / "seals"},
    },
    # Files of statements: written by workers and read by web processes, which share it. No URL leads there.
    "statements": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": BASE_DIR / ".run" / "statements", "base_url": None},
    },
}
# Ed25519 (32 bytes, URL-safe base64) that signs them. Without one it is made and kept in the file, if that is
# named. Public keys of former ones follow, so that their seals still count.
SEAL_SIGNING_KEY = ""
SEAL_KEY_FILE: Path | None = None
SEAL_PUBLIC_KEYS: list[str] = []
