"""The pages' WSGI application, in a process whose clock stands still at SCREENSHOT_MOMENT.

Times, days left and intervals are then the same in every run; the database's own clock goes on, and nothing
that is shown comes from it.
"""

import os
from datetime import datetime

import time_machine

time_machine.travel(datetime.fromisoformat(os.environ["SCREENSHOT_MOMENT"]), tick=False).start()

from pamm_platform.wsgi import application as application  # noqa: E402 - the clock first
