"""The console's page as HTML: no script, no inline style, every value escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from trading.simulator.books import Books
from trading.simulator.catalogue import GROUPS, VOLUME_SCALE
from trading.simulator.clock import ServerClock
from trading.simulator.faults import Fault, FaultKind, Faults
from trading.simulator.market import Market, Quote
from trading.simulator.store import Account, Deal, Store
from trading.simulator.switches import Switches

ACCOUNTS_SHOWN = 25
DEALS_SHOWN = 25
STALE_AFTER = 60

DONE_TEXTS = {
    "arm": "The fault is armed.",
    "disarm": "The fault is disarmed.",
    "clear": "Nothing is armed and every switch is off.",
    "delay": "The delay of new deals is set.",
    "idle": "The states of idle accounts are switched.",
    "zone": "The server's time zone is moved.",
    "clock": "The server's clock has jumped.",
    "tick": "The price is set and stands still.",
    "freeze": "The price stands still or moves, as asked.",
    "operate": "The operation is booked.",
    "edit": "The deal is changed.",
    "delete": "The deal is deleted.",
    "fix": "Balance and credit follow from the deals again.",
}

KINDS = (
    ("On the way", (
        (FaultKind.DROP_BEFORE, "Drop before applying"),
        (FaultKind.DROP_AFTER, "Drop after applying"),
        (FaultKind.APPLY_LATE, "Drop, and apply later"),
        (FaultKind.LATE, "Answer late"),
        (FaultKind.FORBID, "403: the session is gone"),
        (FaultKind.REFUSE, "Refuse by code"),
    )),
    ("In the answer", (
        (FaultKind.PARTIAL, "Partial: only some rows"),
        (FaultKind.EMPTY, "Rows missing"),
        (FaultKind.LIE, "Lie: a field replaced or absent"),
        (FaultKind.DOUBLE, "Rows twice"),
    )),
    ("At the dealer", (
        (FaultKind.PARTIAL_FILL, "Partial fill"),
        (FaultKind.DEALER_REFUSES, "Requote, or another code"),
    )),
)  # fmt: skip
FIELDS_OF_KINDS = {
    "seconds": ("late", "apply_late"),
    "code": ("refuse", "partial", "dealer_refuses"),
    "rows": ("partial",),
    "lots": ("partial_fill",),
    "symbol": ("empty", "partial", "lie", "double"),
    "field": ("lie", "double"),
    "value": ("lie", "double"),
}
"""Fields of the arming form that are sent for some kinds only; the style sheet hides them for the others."""

_KIND_NAMES = {kind: name for _, kinds in KINDS for kind, name in kinds}
OPERATIONS = {2: "Balance", 3: "Credit", 4: "Charge", 5: "Correction", 6: "Bonus"}
_ACTIONS = {
    0: "Buy", 1: "Sell", **OPERATIONS, 7: "Commission", 12: "Interest", 13: "Buy canceled",
    14: "Sell canceled", 15: "Dividend", 17: "Tax", 18: "Agent",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    text: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Entered:
    """The form that was refused and what stood in it, so that nothing has to be typed again."""

    action: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def value(self, action: str, name: str, default: object = "") -> str:
        return escape(self.fields.get(name, str(default)) if action == self.action else str(default))


@dataclass(frozen=True, slots=True)
class Pages:
    store: Store
    books: Books
    market: Market
    clock: ServerClock
    faults: Faults
    switches: Switches
    zone_name: str
    commands: Sequence[str]

    def overview(
        self, token: str, query: Mapping[str, str], notice: Notice | None, entered: Entered | None
    ) -> str:
        asked = query.get("login", "").strip()
        view = _View(self, token, asked, query.get("deal", ""), entered or Entered())
        return _document(
            "Trading server",
            f"""{view.header()}
<main>
{_notice(notice)}
<div class="columns">
<div class="books">
{view.accounts()}
{view.deals()}
{view.prices()}
</div>
<div class="hands">
{view.armed()}
{view.arming()}
{view.switching()}
{view.operating()}
{view.timing()}
{view.restart()}
</div>
</div>
</main>""",
        )

    def restarting(self, seconds: int) -> str:
        return _document(
            "Restarting",
            f"""<main class="alone"><section class="card"><h1>The trading server restarts</h1>
<p>It is back on the same ports and books in a few moments; this page looks again after {seconds} s.
Armed faults have ended, switches stay as they were.</p>
<p><a class="button" href="/">Look now</a></p></section></main>""",
        )


@dataclass(frozen=True, slots=True)
class _View:
    """One showing of the page: what was asked for, and a refused form's content."""

    pages: Pages
    token: str
    asked: str
    asked_deal: str
    entered: Entered

    # reading

    def header(self) -> str:
        pages = self.pages
        now = _moment(pages.clock.milliseconds())
        offset = pages.clock.offset_minutes()
        sign, (hours, minutes) = "−" if offset < 0 else "+", divmod(abs(offset), 60)
        armed = len(pages.faults.armed)
        badges = [_badge(f"{armed} fault{'s' * (armed != 1)} armed", "warn")] if armed else []
        if pages.switches.idle_states_hidden:
            badges.append(_badge("idle states hidden", "warn"))
        if pages.switches.deal_delays:
            badges.append(_badge("deals delayed", "warn"))
        if pages.clock.shift:
            badges.append(_badge("zone moved", "warn"))
        if pages.clock.advance:
            badges.append(_badge("clock advanced", "note"))
        if not badges:
            badges.append(_badge("everything as usual", "good"))
        return f"""<header class="top"><div class="bar">
<div class="brand"><span class="mark" aria-hidden="true"></span><div><h1>Trading server</h1>
<p>Simulated: nothing here is real money</p></div></div>
<dl class="facts">
<div><dt>Server time</dt><dd><time>{now}</time></dd></div>
<div><dt>Zone</dt><dd>{escape(pages.zone_name)} <span class="quiet">UTC{sign}{hours:02}:{minutes:02}</span>
</dd></div>
<div><dt>State</dt><dd class="badges">{"".join(badges)}</dd></div>
</dl></div></header>"""

    def accounts(self) -> str:
        found = self._found()
        rows = "".join(self._account_row(account) for account in found[:ACCOUNTS_SHOWN])
        more = len(found) - ACCOUNTS_SHOWN
        note = f'<p class="foot">{more:,} more: filter by login or group.</p>' if more > 0 else ""
        if found:
            table = f"""<div class="scroll"><table><thead><tr><th>Login</th><th class="wide">Group</th>
<th class="number">Balance</th><th class="number wide">Credit</th><th class="number">Equity</th>
<th class="number wide">Margin</th><th class="number" title="Open positions">Open</th></tr></thead>
<tbody>{rows}</tbody></table></div>{note}"""
        elif self.pages.books.accounts:
            table = f'<p class="empty">No login or group begins with “{escape(self.asked)}”.</p>'
        else:
            table = '<p class="empty">No accounts yet: they are opened through the Web API.</p>'
        clear = '<a class="button plain" href="/">All</a>' if self.asked else ""
        return f"""<section class="card" id="accounts"><div class="head"><h2>Accounts
<span class="count">{len(found):,}</span></h2>
<form method="get" class="filter" role="search"><label class="hidden" for="filter">Login or group</label>
<input id="filter" name="login" value="{escape(self.asked)}" placeholder="Login or group" autocomplete="off">
<button class="plain">Filter</button>{clear}</form></div>{table}</section>"""

    def _found(self) -> list[Account]:
        accounts = self.pages.books.accounts
        if self.asked.isdecimal() and int(self.asked) in accounts:
            return [accounts[int(self.asked)]]
        wanted = self.asked.lower()
        return [
            account
            for login, account in sorted(accounts.items())
            if str(login).startswith(wanted) or account.group.lower().startswith(wanted)
        ]

    def _account_row(self, account: Account) -> str:
        books, digits = self.pages.books, GROUPS[account.group].digits
        state = books.state(account.login)
        count = sum(1 for _ in books.positions([account.login]))
        idle = "" if books.has_state(account.login) else _badge("no state", "warn")
        return f"""<tr><td><a href="/?login={account.login}#deals">{account.login}</a>{idle}
<span class="under">{escape(account.name)}</span></td>
<td class="wide">{escape(account.group)}</td>{_money(state.balance, digits)}
{_money(state.credit, digits, "wide")}{_money(state.equity, digits)}{_money(state.margin, digits, "wide")}
<td class="number">{count or "–"}</td></tr>"""

    @property
    def _login(self) -> int:
        """The one login that the page is about, 0 for none."""
        found = self._found() if self.asked else []
        return found[0].login if len(found) == 1 else 0

    def deals(self) -> str:
        login = self._login
        if not login:
            return """<section class="card" id="deals"><div class="head"><h2>Deals</h2></div>
<p class="empty">Choose an account to see its last deals, and to edit or delete one.</p></section>"""
        deals = self.pages.store.newest_deals(login, DEALS_SHOWN)
        rows = "".join(self._deal_row(deal, hidden) for deal, hidden in deals)
        table = f"""<div class="scroll"><table><thead><tr>
<th class="wide">Ticket</th><th class="wide">Time</th><th>Deal</th><th class="number">Amount</th>
<th class="wide">Comment</th><th class="number wide">Dealer</th><th></th></tr></thead>
<tbody>{rows}</tbody></table></div>"""
        chosen = next((deal for deal, hidden in deals if str(deal.ticket) == self.asked_deal), None)
        fix = self._form("fix", '<button class="plain">Recompute the balance</button>', login=login)
        shown = table if deals else '<p class="empty">No deals yet.</p>'
        editing = self._editing(chosen) if chosen else ""
        return f"""<section class="card" id="deals"><div class="head">
<h2>Last deals of {login}</h2>{fix}</div>{shown}{editing}</section>"""

    def _deal_row(self, deal: Deal, hidden: bool) -> str:
        digits = GROUPS[self.pages.books.accounts[deal.login].group].digits
        badges = _badge("not shown yet", "warn") if hidden else ""
        badges += _badge("edited", "note") if deal.ticket in self.pages.store.modified_deals else ""
        traded = ""
        if symbol := self.pages.market.symbols.get(deal.symbol):
            price = Decimal(deal.price).scaleb(-symbol.digits)
            traded = f'<span class="under">{_lots(deal.volume)} {escape(deal.symbol)} at {price}</span>'
        amount = deal.profit + deal.storage + deal.commission + deal.fee
        date, _, clock = _moment(deal.time_msc).partition(" ")
        edit = (
            ""
            if hidden
            else f"""<a class="button plain small" href="/?login={deal.login}&amp;deal={deal.ticket}#edit"
 aria-label="Edit deal {deal.ticket}">Edit</a>"""
        )
        chosen = ' class="chosen"' if str(deal.ticket) == self.asked_deal else ""
        return f"""<tr{chosen}><td class="wide">{deal.ticket}</td>
<td class="moment wide">{date}<span class="under">{clock}</span></td>
<td>{_ACTIONS.get(deal.action, str(deal.action))}{traded}{badges}
<span class="under narrow">{deal.ticket} · {date} {clock}</span>
<span class="under narrow">{escape(deal.comment)}</span></td>
{_money(amount, digits, signed=True)}
<td class="comment wide">{escape(deal.comment)}</td><td class="number wide">{deal.dealer or "–"}</td>
<td class="number">{edit}</td></tr>"""

    def _editing(self, deal: Deal) -> str:
        digits = GROUPS[self.pages.books.accounts[deal.login].group].digits
        profit = Decimal(deal.profit).scaleb(-digits)
        follow = (
            '<label class="check"><input type="checkbox" name="follow" value="1"> The balance follows</label>'
        )
        fields = f"""<div class="fields">
{self._input("edit", "profit", "Profit", default=profit, kind="decimal")}
{self._input("edit", "Action", "Action", default=deal.action, kind="numeric")}
{self._input("edit", "comment", "Comment", default=deal.comment, wide=True)}
</div>{follow}<div class="buttons"><button>Change the deal</button></div>"""
        delete = f"""{follow}<div class="buttons"><button class="danger">Delete the deal</button></div>"""
        return f"""<div class="inset" id="edit"><h3>Deal {deal.ticket}</h3>
<p class="hint">As an administrator would: what is not changed stays, and the balance does not follow by
itself.</p><div class="pair">{self._form("edit", fields, deal=deal.ticket)}
{self._form("delete", delete, ticket=deal.ticket)}</div></div>"""

    def prices(self) -> str:
        market = self.pages.market
        rows = "".join(self._price_row(name, quote) for name, quote in market.quotes.items())
        options = _options({name: name for name in market.symbols}, self.entered.value("tick", "symbol"))
        still = all(quote.frozen for quote in market.quotes.values())
        label = "Let all move" if still else "Freeze all"
        all_of_them = self._form(
            "freeze", f'<button class="plain">{label}</button>', symbol="*", frozen=int(not still)
        )
        setting = self._form(
            "tick",
            f"""<div class="fields four"><label>Symbol<select name="symbol">{options}</select></label>
{self._input("tick", "bid", "Bid", kind="decimal", required=True)}
{self._input("tick", "ask", "Ask", kind="decimal", hint="usual spread")}
{self._input("tick", "age", "Age, s", kind="numeric", hint="0")}</div>
<div class="buttons"><button>Set the price</button></div>""",
        )
        return f"""<section class="card" id="prices"><div class="head"><h2>Prices</h2>{all_of_them}</div>
<div class="scroll"><table><thead><tr><th>Symbol</th><th class="number">Bid</th><th class="number">Ask</th>
<th class="number">Age</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>
<div class="inset"><h3>Set a price</h3><p class="hint">With an age it is stale. A price of zero, one that is
missing or given twice is a fault of <code>tick/*</code>.</p>{setting}</div></section>"""

    def _price_row(self, name: str, quote: Quote) -> str:
        digits = self.pages.market.symbols[name].digits
        seconds = (self.pages.clock.milliseconds() - quote.time_msc) // 1000
        stale = " bad" if seconds > STALE_AFTER else ""
        verb = "Move" if quote.frozen else "Freeze"
        button = self._form(
            "freeze",
            f'<button class="plain small" aria-label="{verb} {escape(name)}">{verb}</button>',
            symbol=name,
            frozen=int(not quote.frozen),
        )
        still = _badge("still", "note") if quote.frozen else ""
        bid, ask = (Decimal(points).scaleb(-digits) for points in (quote.bid, quote.ask))
        return f"""<tr><td>{escape(name)}{still}</td>
<td class="number">{bid}</td><td class="number">{ask}</td>
<td class="number{stale}">{_span(seconds)}</td><td class="number">{button}</td></tr>"""

    # doing

    def armed(self) -> str:
        faults = self.pages.faults.armed
        items = "".join(self._armed_item(fault) for fault in faults)
        switched = self.pages.switches
        anything = faults or switched.idle_states_hidden or switched.deal_delays or self.pages.clock.shift
        off = self._form("clear", '<button class="plain">All off</button>', clear=1) if anything else ""
        shown = f'<ul class="armed">{items}</ul>' if faults else '<p class="empty">No fault is armed.</p>'
        return f"""<section class="card" id="armed"><div class="head"><h2>Armed faults
<span class="count">{len(faults)}</span></h2>{off}</div>{shown}</section>"""

    def _armed_item(self, fault: Fault) -> str:
        about = [f"login {fault.login}" if fault.login else "any login"]
        about += [escape(fault.symbol)] if fault.symbol else []
        about += [f"code {fault.code}"] if fault.code else []
        about += [f"{fault.seconds:g} s"] if fault.seconds else []
        about += [f"{_lots(fault.volume)} lots"] if fault.volume else []
        about += [f"{fault.rows} rows"] if fault.rows is not None else []
        about += [
            f"{escape(name)} {'absent' if value is None else '= ' + escape(value)}"
            for name, value in fault.fields.items()
        ]
        about += [f"after {fault.skip} more"] if fault.skip else []
        left = "until disarmed" if not fault.calls else f"{fault.calls - fault.hits} of {fault.calls} left"
        button = self._form(
            "disarm",
            f'<button class="plain small" aria-label="Disarm fault {fault.number}">Disarm</button>',
            disarm=fault.number,
        )
        return f"""<li><div><strong>{_KIND_NAMES[fault.kind]}</strong> <code>{escape(fault.command)}</code>
<span class="under">{", ".join(about)} · {left}, {fault.hits} hit so far</span></div>{button}</li>"""

    def arming(self) -> str:
        chosen = self.entered.value("arm", "kind", FaultKind.DROP_AFTER.value)
        kinds = "".join(
            f'<optgroup label="{group}">{_options({k.value: name for k, name in kinds}, chosen)}</optgroup>'
            for group, kinds in KINDS
        )
        commands = "".join(
            f"<option>{escape(name)}</option>"
            for name in ("deal/*", "user/account/*", "tick/*", *self.pages.commands)
        )
        names = {"": "any", **{name: name for name in self.pages.market.symbols}}
        symbols = _options(names, self.entered.value("arm", "symbol"))
        fields = f"""<div class="fields six">
<label class="full">What goes wrong<select name="kind">{kinds}</select></label>
{self._input("arm", "command", "Command", default="trade/balance", wide=True, listed="commands")}
<datalist id="commands">{commands}</datalist>
{self._input("arm", "login", "Login", default=self._login or "", kind="numeric", hint="any", third=True)}
{self._input("arm", "calls", "Calls, 0: all", default=1, kind="numeric", third=True)}
{self._input("arm", "skip", "Skip first", default=0, kind="numeric", third=True)}
{self._input("arm", "seconds", "Seconds", kind="decimal")}
{self._input("arm", "code", "Return code", kind="numeric")}
{self._input("arm", "rows", "Rows kept", kind="numeric", hint="half")}
{self._input("arm", "lots", "Lots executed", kind="decimal")}
<label class="full {" ".join(_only_for("symbol"))}">Symbol<select name="symbol">{symbols}</select></label>
{self._input("arm", "field", "Field", hint="Equity")}
{self._input("arm", "value", "Value", hint="absent")}
</div><div class="buttons"><button>Arm the fault</button></div>"""
        return f"""<section class="card" id="arm"><div class="head"><h2>Arm a fault</h2></div>
{self._form("arm", fields)}</section>"""

    def switching(self) -> str:
        switches = self.pages.switches
        hidden = switches.idle_states_hidden
        state = f"""<p><strong>States of idle accounts</strong><span class="under">{
            "Missing until an account is active." if hidden else "Given for every account."
        }</span></p>"""
        idle = self._form(
            "idle",
            f'{state}<button class="plain">{"Show them" if hidden else "Hide them"}</button>',
            style="line",
            hidden=int(not hidden),
        )
        delays = ", ".join(
            f"{_span(seconds)} for {login or 'all logins'}" for login, seconds in switches.deal_delays.items()
        )
        delay = self._form(
            "delay",
            f"""<p><strong>New deals appear late</strong><span class="under">{
                f"Now {delays}." if delays else "The balance moves at once, the history shows the deal later."
            }</span></p><div class="fields">
{self._input("delay", "seconds", "Seconds", kind="numeric", hint="0: show all", required=True)}
{self._input("delay", "login", "Login", kind="numeric", hint="all")}</div>
<div class="buttons"><button class="plain">Set the delay</button></div>""",
        )
        return f"""<section class="card" id="switches"><div class="head"><h2>Switches</h2></div>{idle}{delay}
</section>"""

    def operating(self) -> str:
        operations = _options(OPERATIONS, self.entered.value("operate", "type", 2))
        fields = f"""<div class="fields">
{self._input("operate", "login", "Login", default=self._login or "", kind="numeric", required=True)}
{self._input("operate", "balance", "Amount", kind="decimal", hint="-100.00", required=True)}
<label>Kind<select name="type">{operations}</select></label>
{self._input("operate", "dealer", "Dealer", default=77, kind="numeric")}
{self._input("operate", "comment", "Comment", hint="also a copied key", wide=True)}
</div><div class="buttons"><button>Book it</button></div>"""
        return f"""<section class="card" id="operate"><div class="head"><h2>Dealer’s operation</h2></div>
<p class="hint">A deposit or withdrawal by hand, without a margin check.</p>{self._form("operate", fields)}
</section>"""

    def timing(self) -> str:
        clock = self.pages.clock
        advanced = f"So far {_span(int(clock.advance.total_seconds()))}." if clock.advance else "Not moved."
        shifted = f"Now {_span(int(clock.shift.total_seconds()))}." if clock.shift else "As in the books."
        jump = f"""<p><strong>Clock jump</strong><span class="under">{advanced}</span></p>
<div class="inline">{self._input("clock", "advance", "Seconds", hint="3600 or -3600", required=True)}
<button class="plain">Jump</button></div>"""
        zone = f"""<p><strong>Another time zone</strong>
<span class="under">{shifted} Booked times stay.</span></p>
<div class="inline">{self._input("zone", "minutes", "Minutes", hint="60 or -60, 0: back", required=True)}
<button class="plain">Move</button></div>"""
        return f"""<section class="card" id="time"><div class="head"><h2>Time</h2></div>
{self._form("clock", jump)}{self._form("zone", zone)}</section>"""

    def restart(self) -> str:
        seconds = self._input("restart", "seconds", "Seconds down", default=5, kind="numeric")
        fields = f"""<div class="inline">{seconds}
<button class="danger">Restart</button></div>"""
        return f"""<section class="card" id="restart"><div class="head"><h2>Restart</h2></div>
<p class="hint">Connections break; what was answered is kept. Armed faults end, switches stay.</p>
{self._form("restart", fields)}</section>"""

    # parts

    def _form(self, action: str, content: str, *, style: str = "", **sent: object) -> str:
        hidden = {
            "token": self.token,
            "action": action,
            "shown_login": self.asked,
            "shown_deal": self.asked_deal,
            **sent,
        }
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{escape(str(value))}">'
            for name, value in hidden.items()
        )
        return f'<form method="post" action="/" class="{style or action}">{inputs}{content}</form>'

    def _input(
        self,
        action: str,
        name: str,
        label: str,
        *,
        default: object = "",
        hint: str = "",
        kind: str = "text",
        wide: bool = False,
        required: bool = False,
        listed: str = "",
        third: bool = False,
    ) -> str:
        """`kind` is the keyboard a phone shows."""
        classes = " ".join(["full"] * wide + ["third"] * third + _only_for(name) * (action == "arm"))
        attributes = (
            f' class="{classes}"' if classes else "",
            f' placeholder="{escape(hint)}"' if hint else "",
            f' list="{listed}"' if listed else "",
            " required" if required else "",
        )
        return f"""<label{attributes[0]}>{label}<input name="{name}" inputmode="{kind}" autocomplete="off"
 value="{self.entered.value(action, name, default)}"{"".join(attributes[1:])}></label>"""


def _only_for(name: str) -> list[str]:
    """Classes of a field that only some kinds of fault need."""
    return ["only", *(f"for-{kind}" for kind in FIELDS_OF_KINDS[name])] if name in FIELDS_OF_KINDS else []


def _document(title: str, content: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/console.css"></head>
<body>{content}</body></html>"""


def _notice(notice: Notice | None) -> str:
    if notice is None:
        return ""
    if notice.is_refusal:
        return f'<p class="notice refusal" role="alert">Not done: {escape(notice.text)}.</p>'
    return f'<p class="notice" role="status">{escape(notice.text)}</p>'


def _badge(text: str, kind: str) -> str:
    return f'<span class="badge {kind}">{escape(text)}</span>'


def _options(names: Mapping[int, str] | Mapping[str, str], chosen: str) -> str:
    """Choices by what is sent for them; `chosen` is escaped already."""
    return "".join(
        f'<option value="{escape(str(value))}"{" selected" * (escape(str(value)) == chosen)}>'
        f"{escape(name)}</option>"
        for value, name in names.items()
    )


def _money(minor: int, digits: int, style: str = "", *, signed: bool = False) -> str:
    amount = Decimal(minor).scaleb(-digits)
    text = f"{amount:+,}" if signed and minor else f"{amount:,}"
    negative = " bad" if minor < 0 else ""
    return f'<td class="number {style}{negative}">{text.replace("-", "−")}</td>'


def _lots(volume: int) -> str:
    return f"{(Decimal(volume) / VOLUME_SCALE).normalize():f}"


def _moment(milliseconds: int) -> str:
    """Server time as it is: its epoch counts local wall time."""
    return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _span(seconds: int) -> str:
    sign, rest = "−" if seconds < 0 else "", abs(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if rest >= 2 * size or (rest >= size and rest % size == 0):
            return f"{sign}{rest // size} {unit}" if rest % size == 0 else f"{sign}{rest / size:.1f} {unit}"
    return f"{sign}{rest} s"
