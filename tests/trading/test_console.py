"""The simulated server's page for people: what it shows and does, and whom it refuses."""

import http.client
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest

from tests.simulator import SimulatorProcess
from trading.gateway import Applied, Side
from trading.mt5.gateway import Mt5Gateway

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Page:
    """A browser of the plainest kind: sends what it is told, with the headers a real one would add."""

    def __init__(self, address: str) -> None:
        self.host = address.removeprefix("http://")
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.text = ""

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> str:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        self.status, self.headers = answer.status, dict(answer.getheaders())
        self.text = answer.read().decode()
        connection.close()
        return self.text

    def open(self, path: str = "/") -> str:
        return self.ask("GET", path)

    @property
    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.open())
        assert found
        return found[1]

    def send(self, action: str, **fields: object) -> str:
        """Send a form and follow where it leads; its notice, or the refusal."""
        body = urlencode({"token": self.token, "action": action, **fields})
        self.ask("POST", "/", body, Origin=f"http://{self.host}", **FORM)
        if self.status == 303:
            self.open(self.headers["Location"])
        found = re.search(r'<p class="notice[^>]*>([^<]*)</p>', self.text)
        return unescape(found[1]) if found else ""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path_factory.mktemp("console"), console=True).start()
    yield process
    process.stop()


@pytest.fixture
def simulator(served: SimulatorProcess) -> Iterator[SimulatorProcess]:
    yield served
    served.clear_faults()


@pytest.fixture
def page(simulator: SimulatorProcess) -> Page:
    return Page(simulator.console)


@pytest.fixture
def login(simulator: SimulatorProcess) -> int:
    return simulator.add_account(amount="1234.50")


def shown(text: str) -> str:
    """What a reader sees of a page, blanks run together."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_page_shows_accounts_and_the_deals_of_the_chosen_one(
    simulator: SimulatorProcess, gateway: Mt5Gateway, page: Page, login: int
) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10000")
    gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal("0.1"), "k1")
    other = simulator.add_account("personal\\JPY", "5000")
    everything = shown(page.open())
    assert f"{login} Client personal\\USD 1,234.50 0.00 1,234.50 110.00 1" in everything
    assert f"{other} Client personal\\JPY 5,000 0 5,000 0 –" in everything
    assert "Europe/Athens UTC+0" in everything
    one = shown(page.open(f"/?login={login}"))
    assert str(other) not in one
    assert f"Last deals of {login}" in one
    assert "Buy 0.1 EURUSD at 1.10000" in one
    assert "+1,234.50 opening" in one


def test_page_that_finds_no_account_says_so_and_escapes_what_was_typed(page: Page, login: int) -> None:
    text = page.open("/?login=%3Cscript%3Ealert(1)%3C/script%3E&done=%3Cb%3E&deal=%22x")
    assert "No login or group begins with “<script>" in shown(text) or "&lt;script&gt;" in text
    assert "<script" not in text


def test_fault_is_armed_shown_and_disarmed_from_the_page(
    simulator: SimulatorProcess, page: Page, login: int
) -> None:
    notice = page.send(
        "arm", kind="refuse", command="user/get", login=login, calls=2, skip=0, code=10, seconds="", lots="7"
    )
    assert notice == "The fault is armed."
    assert f"Refuse by code user/get login {login}, code 10 · 2 of 2 left, 0 hit so far" in shown(page.text)
    assert simulator.ask_anyway("user/get", login=login).code == 10
    (fault,) = simulator.armed_faults()
    assert page.send("disarm", disarm=fault["number"]) == "The fault is disarmed."
    assert simulator.armed_faults() == []
    assert page.send("disarm", disarm=fault["number"]) == f"Not done: Not found: fault {fault['number']}."


@pytest.mark.parametrize(
    ("action", "fields", "complaint"),
    [
        ("arm", {"kind": "late", "command": "deal/*", "seconds": "soon"}, "seconds is not a number"),
        ("arm", {"kind": "late", "command": "deal/*"}, "seconds is not above 0 and at most 3600"),
        ("arm", {"kind": "drop_after", "command": "nonsense"}, "command names no command: nonsense"),
        ("arm", {"kind": "drop_after"}, "command is missing"),
        ("arm", {"command": "deal/*"}, "kind is missing"),
        ("operate", {"login": "1", "balance": "1"}, "Not found: login 1"),
        ("operate", {"login": "x", "balance": "1"}, "login is not a whole number"),
        ("operate", {}, "login is missing"),
        ("tick", {"symbol": "EURUSD", "bid": "0"}, "bid is not above 0 and at most the ask"),
        ("tick", {"symbol": "EURUSD", "bid": "1.123456"}, "bid has more than 5 decimals"),
        ("tick", {"symbol": "NOSUCH", "bid": "1"}, "Not found: symbol NOSUCH"),
        ("clock", {"advance": "99999999999"}, "advance is not from"),
        ("zone", {"minutes": "5000"}, "minutes is not from"),
        ("delay", {"seconds": "-1"}, "seconds is not from 0 to 3600"),
        ("edit", {"deal": "424242", "profit": "1"}, "Not found: deal 424242"),
        ("delete", {"ticket": ""}, "ticket is missing"),
        ("restart", {"seconds": "9999"}, "seconds is not from 0 to 3600"),
    ],
)
def test_input_that_cannot_be_is_refused_with_its_reason_and_stays_in_the_form(
    page: Page, action: str, fields: dict[str, str], complaint: str
) -> None:
    notice = page.send(action, **fields)
    assert notice.startswith("Not done: ")
    assert complaint in notice
    assert page.status == 422
    for name in fields.keys() & {"command", "seconds", "balance", "bid", "advance", "minutes"}:
        assert f'value="{fields[name]}"' in page.text


def test_switches_time_and_prices_are_turned_from_the_page(simulator: SimulatorProcess, page: Page) -> None:
    before = simulator.switches()
    for action, fields in (
        ("idle", {"hidden": 1}), ("delay", {"seconds": 60}), ("zone", {"minutes": -90}),
        ("clock", {"advance": 3600}), ("tick", {"symbol": "EURUSD", "bid": "1.2", "age": 600}),
    ):  # fmt: skip
        assert page.send(action, **fields)
        assert page.status == 200
    after = simulator.switches()
    assert (after["idle_states_hidden"], after["deal_delays"]) == ("1", {"0": "60"})
    assert after["zone_shift_minutes"] == "-90"
    assert int(after["advance_seconds"]) == int(before["advance_seconds"]) + 3600
    assert "EURUSD still 1.20000 1.20008 10 min Move" in shown(page.text)
    page.send("freeze", symbol="EURUSD", frozen=0)
    assert "EURUSD 1.2" in shown(page.text)
    page.send("clear", clear=1)
    assert simulator.switches()["zone_shift_minutes"] == "0"


def test_dealers_operation_is_booked_from_the_page(
    simulator: SimulatorProcess, page: Page, login: int
) -> None:
    fields = {"login": login, "balance": "-34.50", "type": 2, "dealer": 77, "comment": "a copied key"}
    assert page.send("operate", **fields) == "The operation is booked."
    assert simulator.balance(login) == 1200
    assert "−34.50 a copied key 77" in shown(page.open(f"/?login={login}"))


@pytest.mark.parametrize("follow", [False, True])
def test_deal_is_edited_and_deleted_from_the_page(
    simulator: SimulatorProcess, gateway: Mt5Gateway, page: Page, login: int, follow: bool
) -> None:
    applied = [gateway.adjust_balance(login, amount, f"key{amount}") for amount in map(Decimal, ("1", "2"))]
    first, second = (each.ticket for each in applied if isinstance(each, Applied))
    ticked = {"follow": 1} if follow else {}
    assert 'name="profit"' in page.open(f"/?login={login}&deal={first}")
    assert page.send("edit", deal=first, profit="5.00", comment="", **ticked) == "The deal is changed."
    deal = simulator.ask("deal/get", ticket=first).record()
    assert (deal.text("Profit"), deal.text("Comment")) == ("5.00", "key1")
    assert page.send("delete", ticket=second, **ticked) == "The deal is deleted."
    assert simulator.ask_anyway("deal/get", ticket=second).code == 13
    assert simulator.balance(login) == Decimal("1239.50" if follow else "1237.50")
    page.send("fix", login=login)
    assert simulator.balance(login) == Decimal("1239.50")


def test_hidden_deal_is_marked_as_not_shown_yet(
    simulator: SimulatorProcess, gateway: Mt5Gateway, page: Page, login: int
) -> None:
    simulator.delay_deals(60, login=login)
    gateway.adjust_balance(login, Decimal("1"), "late")
    assert "Balance not shown yet" in shown(page.open(f"/?login={login}"))


def test_restart_from_the_page_keeps_both_ports(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, console=True).start()
    try:
        login, page = process.add_account(amount="7.00"), Page(process.console)
        process.arm_fault("drop_before")
        old = page.token
        page.send("restart", seconds="0")
        assert page.headers["Refresh"] == "2; url=/"
        deadline = time.monotonic() + 10
        while token_of(page) in (None, old) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert "No fault is armed." in page.open()
        assert process.gateway().accounts([login])[login].balance == 7
        page.ask(
            "POST", "/", urlencode({"token": old, "action": "clear"}), Origin=f"http://{page.host}", **FORM
        )
        assert page.status == 403
    finally:
        process.stop()


def token_of(page: Page) -> str | None:
    """None while nobody answers."""
    try:
        return page.token
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:{port}", "0.0.0.0:{port}", ""])
def test_page_under_another_name_is_refused(page: Page, host: str) -> None:
    host = host.format(port=page.host.split(":")[1])
    assert page.ask("GET", "/", Host=host).startswith("This page answers")
    assert page.status == 421


def test_page_answers_as_localhost(page: Page) -> None:
    page.ask("GET", "/", Host=f"localhost:{page.host.split(':')[1]}")
    assert page.status == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://{host}", "http://localhost:1"]
)
def test_form_from_elsewhere_is_refused(simulator: SimulatorProcess, page: Page, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin.format(host=page.host)}
    body = urlencode({"token": page.token, "action": "arm", "kind": "drop_before", "command": "deal/*"})
    page.ask("POST", "/", body, **headers, **FORM)
    assert page.status == 403
    assert simulator.armed_faults() == []


@pytest.mark.parametrize("token", ["", "guessed", "ü"])
def test_form_without_the_token_is_refused(simulator: SimulatorProcess, page: Page, token: str) -> None:
    body = urlencode({"token": token, "action": "arm", "kind": "drop_before", "command": "deal/*"})
    page.ask("POST", "/", body, Origin=f"http://{page.host}", **FORM)
    assert page.status == 403
    assert simulator.armed_faults() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/elsewhere", "", {}, 404),
        ("GET", "/../console.py", "", {}, 404),
        ("PUT", "/", "", {}, 405),
        ("POST", "/elsewhere", "", {}, 404),
        ("POST", "/", "x" * 20_000, {}, 413),
        ("POST", "/", "", {"Content-Length": "minus one"}, 400),
        ("POST", "/", "&".join(f"f{number}=1" for number in range(60)), {}, 400),
        ("GET", "/", "", {f"X-{number}": "1" for number in range(150)}, 400),
        ("GET", "/", "", {"X-Long": "1" * 40_000}, 400),
    ],
)
def test_request_that_is_none_of_the_pages_is_refused_in_a_line(
    page: Page, method: str, path: str, body: str, headers: dict[str, str], status: int
) -> None:
    page.ask(method, path, body, **headers)
    assert page.status == status
    assert page.text.count("\n") == 1
    assert page.headers["Content-Type"].startswith("text/plain")


def test_unknown_action_is_refused(page: Page) -> None:
    page.send("explode")
    assert page.status == 400


def test_every_answer_forbids_scripts_frames_and_caches(page: Page) -> None:
    for path in ("/", "/console.css", "/nothing"):
        page.open(path)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
    text = page.open()
    assert "<script" not in text
    assert not re.search(r"\s(style|on\w+)=", text)


def test_console_listens_on_loopback_only_whatever_the_server_does_and_is_off_by_default(
    tmp_path: Path,
) -> None:
    process = SimulatorProcess(tmp_path, "--host", "0.0.0.0", console=True).start()
    try:
        assert listening(process) == {"0.0.0.0": 1, "127.0.0.1": 1}
    finally:
        process.stop()
    process = SimulatorProcess(tmp_path).start()
    try:
        assert listening(process) == {"127.0.0.1": 1}
    finally:
        process.stop()


def listening(process: SimulatorProcess) -> Counter[str]:
    """How many ports it listens on, by address."""
    connections = psutil.Process(process.pid).net_connections("tcp")
    return Counter(each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN)
