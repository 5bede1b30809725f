"""How the server is until it is told otherwise: kept with the books, so a restart changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from trading.simulator.store import Store

_NAME = "switches"


@dataclass(slots=True)
class Switches:
    """`deal_delays`: seconds by login for which a new deal is not shown; 0 stands for all logins."""

    idle_states_hidden: bool = False
    deal_delays: dict[int, int] = field(default_factory=dict)

    @classmethod
    def kept(cls, store: Store) -> Switches:
        saved = json.loads(store.meta(_NAME) or "{}")
        delays = {int(login): seconds for login, seconds in saved.get("deal_delays", {}).items()}
        return cls(idle_states_hidden=saved.get("idle_states_hidden", False), deal_delays=delays)

    def keep(self, store: Store) -> None:
        """Durable with the store's next commit."""
        store.put_meta(_NAME, json.dumps(asdict(self)))

    def deal_delay(self, login: int) -> int:
        return self.deal_delays.get(login, self.deal_delays.get(0, 0))
