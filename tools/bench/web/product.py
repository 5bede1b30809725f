"""The platform as production serves it; each answer says what it took."""

from pamm_platform.wsgi import application as platform
from tools.bench.web.timed import Timed

application = Timed(platform)
