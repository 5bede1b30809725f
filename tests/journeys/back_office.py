"""The broker's dealer in the back office: signs in with a second factor, orders rollovers, reads their audit."""

import time
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.journeys.visitor import Visitor
from tests.worlds import PASSWORD, totp_code

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Audit:
    """The allocation audit of one rollover as the page shows it; amounts by owner's name, sums under `sum`."""

    facts: dict[str, str]
    checks: list[tuple[str, str]]
    lines: dict[str, dict[str, str]]
    sums: dict[str, str]
    residual: str

    def column(self, name: str) -> Decimal:
        """Sum of one column over all investments."""
        return sum((Decimal(line[name].replace(",", "").replace("−", "-")) for line in self.lines.values()),
                   Decimal(0))  # fmt: skip


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
        self._page.get_by_role("link", name="Order a rollover").click()
        self._page.get_by_label("PAMM accounts").select_option(label=account)
        self._page.get_by_role("button", name="Roll over now").click()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (state := self._state_of_latest()) != "Completed":
            if time.monotonic() > deadline:
                pytest.fail(f"the rollover is {state}")
            time.sleep(0.3)
            self._page.reload()

    def read_audit(self) -> Audit:
        """Open the audit of the latest rollover from the list."""
        self._page.goto("/admin/rollover/rollover/")
        self._page.locator("#result_list tbody tr").first.locator("th a, td a").first.click()
        self._page.get_by_role("link", name="Allocation audit").click()
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
