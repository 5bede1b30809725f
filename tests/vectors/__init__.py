"""Worked examples as data: `published.json`, others' printed numbers; `domain.json`, the rules' own table."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    """A file of examples; numbers with a point as Decimal."""
    return json.loads((Path(__file__).parent / name).read_text(), parse_float=Decimal)
