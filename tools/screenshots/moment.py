"""When the pictures are taken, whatever this machine's clock says."""

from datetime import UTC, datetime, timedelta

HISTORY_ENDS = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""A Friday, while markets are open."""
MOMENT = HISTORY_ENDS + timedelta(seconds=40)
"""Half a minute before the next rollover of the demo."""
