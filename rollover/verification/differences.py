"""What a verification found: one entry per figure that differs, naming the row that has it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from rollover.verification.records import Point


@dataclass(frozen=True, slots=True)
class Difference:
    """`row` of `model` says `found` where the other records give `expected`; `what` names the figure.

    `row` is a public id, a key or a ticket; `rollover` is empty where no single rollover is concerned.
    """

    model: str
    row: str
    account: str
    rollover: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"account {self.account}" + (f", rollover {self.rollover}" if self.rollover else "")
        return f"{self.model} {self.row} ({where}): {self.what}: expected {self.expected}, found {self.found}"


@dataclass
class Findings:
    """Collects the differences of one account, or of a broker's ledger."""

    account: str
    differences: list[Difference] = field(default_factory=list)

    def add(
        self, model: str, row: object, what: str, expected: object, found: object, point: Point | None = None
    ) -> None:
        self.differences.append(
            Difference(
                model=model,
                row=str(row),
                account=self.account,
                rollover="" if point is None else point.name,
                what=what,
                expected=shown(expected),
                found=shown(found),
            )
        )

    def compare(
        self,
        model: str,
        row: object,
        figures: Iterable[tuple[str, object, object]],
        point: Point | None = None,
    ) -> None:
        """`figures` are (name, expected, found)."""
        for what, expected, found in figures:
            if expected != found:
                self.add(model, row, what, expected, found, point)


def shown(figure: object) -> str:
    """A figure as a line shows it: decimals without trailing zeros."""
    if isinstance(figure, Decimal):
        text = format(figure, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(figure, dict):
        return ", ".join(f"{key} {shown(value)}" for key, value in sorted(figure.items())) or "nothing"
    if isinstance(figure, (list, tuple)):
        return f"[{', '.join(map(shown, figure))}]"
    return "nothing" if figure is None else str(figure)
