"""WSGI entry point."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pamm_platform.settings.production")
application = get_wsgi_application()

from pamm_platform.roles import refuse_privileged_role  # noqa: E402 - needs the settings

refuse_privileged_role()

# What was loaded stays for good: a page that makes many objects need not look through it again each time.
gc.freeze()
