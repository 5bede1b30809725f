"""The broker's dealer in the back office: a second factor, rollovers ordered, their audit read."""

import time
from dataclasses import dataclass
from decimal import Decimal

import pytest

from money.exact import exact_sum
from tests.journeys.visitor import Visitor, figure
from tests.worlds import PASSWORD, totp_code

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Audit:
    """The allocation audit of one rollover as the page shows it; `lines` by the owner's name, then column."""

    facts: dict[str, str]
    checks: list[tuple[str, str]]
    lines: dict[str, dict[str, str]]
    sums: dict[str, str]
    residual: str

    def column(self, name: str) -> Decimal:
        """Sum of one column over all investments."""
        return exact_sum(figure(line[name]) for line in self.lines.values())


class Dealer:
    """Hands of the dealer on the back office's pages."""

    def __init__(self, visitor: Visitor, email: str, secret: str) -> None:
        self.visitor = visitor
        self._page = visitor.page
        visitor.sign_in(email, PASSWORD)
        visitor.take_picture("second-factor")
        self._page.get_by_role("textbox").fill(totp_code(secret))
        visitor.press("Sign In")
        visitor.open_place("Back office")

    def order_rollover(self, account: str) -> None:
        """Order a rollover of the account of this name and wait until the worker has completed it."""
        self._page.goto("/admin/rollover/rollover/")
        self.visitor.go(self._page.get_by_role("link", name="Order a rollover"))
        self._page.get_by_label("PAMM accounts").select_option(label=account)
        self.visitor.go(self._page.get_by_role("button", name="Roll over now"))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (state := self._state_of_latest()) != "Completed":
            if time.monotonic() > deadline:
                pytest.fail(f"the rollover is {state}")
            time.sleep(0.3)
            self._page.reload()

    def read_audit(self) -> Audit:
        """Open the audit of the latest rollover from the list."""
        self._page.goto("/admin/rollover/rollover/")
        self.visitor.go(self._page.locator("#result_list tbody tr").first.get_by_role("link").first)
        self.visitor.go(self._page.get_by_role("link", name="Allocation audit"))
        heads, *rows = self.visitor.rows(".audit:has([data-line=sums]) table")
        lines = {}
        residual = sums = {}
        for row in rows:
            cells = dict(zip(heads, row, strict=True))
            if row[0] == "Residual of rounding":
                residual = cells
            elif row[0].startswith("Sum of all"):
                sums = cells
            else:
                lines[row[0].partition(" · ")[0]] = cells
        checks = [(row[0], row[1]) for row in self.visitor.rows(".audit:has([data-check]) table")[1:]]
        facts = self.visitor.facts("body")
        return Audit(facts, checks, lines, sums, residual["Value after P&L"])

    def _state_of_latest(self) -> str:
        return self._page.locator("#result_list tbody tr").first.locator(".field-state").inner_text().strip()
