"""A page for the people who try the platform: what the server holds, and its faults, switches and books at
hand.

Plain HTTP on the loopback address only. Whoever asks under another name is refused, and so is a form that
did not come from this page: a browser that visits other sites must not become a hand in the books.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from trading.simulator.books import BAD_PARAMETERS, Books, Refusal
from trading.simulator.commands import Commands
from trading.simulator.control import Control
from trading.simulator.pages import DONE_TEXTS, FIELDS_OF_KINDS, Entered, Notice, Pages
from trading.simulator.parameters import Parameters
from trading.simulator.session import Session
from trading.simulator.store import Store

ADDRESS = "127.0.0.1"
STYLE = Path(__file__).with_name("console.css")
_LINE_LIMIT = 16 * 1024
_BODY_LIMIT = 16 * 1024
_HEADER_LIMIT = 100
_PATIENCE = 10.0

_PHRASES = {
    200: "OK", 303: "See Other", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 413: "Content Too Large", 421: "Misdirected Request",
    422: "Unprocessable Content",
}  # fmt: skip
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # "no-referrer" would make browsers send forms without their origin
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}


_CONTROLS = {
    "disarm": "test/fault", "clear": "test/fault", "delay": "test/delay",
    "idle": "test/idle", "zone": "test/zone", "clock": "test/clock", "tick": "test/tick",
    "freeze": "test/freeze", "operate": "test/balance", "restart": "test/restart",
}  # fmt: skip
"""Forms that do what a test command does."""

_OF_THE_PAGE = frozenset({"token", "action", "shown_login", "shown_deal"})


class Refused(Exception):
    """Not answered with a page but with a status and a line of text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content: str
    kind: str = "text/html"
    headers: tuple[tuple[str, str], ...] = ()


class Console:
    def __init__(
        self, *, pages: Pages, books: Books, commands: Commands, control: Control, store: Store
    ) -> None:
        self._pages = pages
        self._books = books
        self._commands = commands
        self._control = control
        self._store = store
        self._session = Session(authenticated=True)
        self._token = secrets.token_urlsafe(24)
        self._hosts: frozenset[str] = frozenset()
        self._actions: dict[str, Callable[[Parameters], object]] = {
            **{action: control.table[command] for action, command in _CONTROLS.items()},
            "arm": self._arm,
            "edit": self._edit,
            "delete": self._delete,
            "fix": self._fix,
        }

    async def listen(self, port: int) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, ADDRESS, port, limit=_LINE_LIMIT)
        bound = server.sockets[0].getsockname()[1]
        self._hosts = frozenset({f"{ADDRESS}:{bound}", f"localhost:{bound}"})
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                try:
                    reply = self._answer(await _read(reader))
                except Refused as refused:
                    reply = Reply(refused.status, f"{refused.text}\n", "text/plain")
                content = reply.content.encode()
                headers = [
                    f"HTTP/1.1 {reply.status} {_PHRASES[reply.status]}",
                    f"Content-Type: {reply.kind}; charset=utf-8",
                    f"Content-Length: {len(content)}",
                    *(f"{name}: {value}" for name, value in (*_HEADERS.items(), *reply.headers)),
                ]
                writer.write("\r\n".join(headers).encode() + b"\r\n\r\n" + content)
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    def _answer(self, asked: Asked) -> Reply:
        host = asked.headers.get("host", "")
        if host not in self._hosts:
            raise Refused(421, "This page answers at 127.0.0.1 and localhost only.")
        if asked.method == "POST" and asked.path == "/":
            if asked.headers.get("origin") != f"http://{host}":
                raise Refused(403, "The form did not come from this page.")
            if not secrets.compare_digest(asked.form.get("token", "").encode(), self._token.encode()):
                raise Refused(403, "The form is from before the server's last start: load the page again.")
            return self._act(asked)
        if asked.path not in ("/", "/console.css"):
            raise Refused(404, "There is nothing here.")
        if asked.method != "GET":
            raise Refused(405, "Only GET, and POST of this page's forms.")
        if asked.path == "/console.css":
            return Reply(200, STYLE.read_text(), "text/css")
        done = DONE_TEXTS.get(asked.query.get("done", ""))
        return Reply(200, self._page(asked.query, Notice(done) if done else None))

    def _page(
        self, query: Mapping[str, str], notice: Notice | None = None, entered: Entered | None = None
    ) -> str:
        return self._pages.overview(self._token, query, notice, entered)

    def _act(self, asked: Asked) -> Reply:
        """Carry out a form. Nothing was changed where the answer is 422."""
        action = asked.form.get("action", "")
        if action not in self._actions:
            raise Refused(400, "Unknown action.")
        filled = {name: value.strip() for name, value in asked.form.items() if name not in _OF_THE_PAGE}
        given = {name: value for name, value in filled.items() if value}
        view = {"login": asked.form.get("shown_login", ""), "deal": asked.form.get("shown_deal", "")}
        try:
            self._actions[action](Parameters(urlencode(given), b""))
        except Refusal as refusal:
            notice = Notice(refusal.text.removeprefix(f"{BAD_PARAMETERS[1]}: "), is_refusal=True)
            return Reply(422, self._page(view, notice, Entered(action, asked.form)))
        finally:
            self._store.commit()
        if action == "restart":
            seconds = int(self._control.seconds_down) + 2
            return Reply(200, self._pages.restarting(seconds), headers=(("Refresh", f"{seconds}; url=/"),))
        if action == "delete":
            view["deal"] = ""
        kept = {name: value for name, value in view.items() if value}
        return Reply(303, "", headers=(("Location", f"/?{urlencode({**kept, 'done': action})}"),))

    def _arm(self, given: Parameters) -> None:
        kind = given.text("kind")
        # what stands in a field that the page does not show for this kind was left there by another
        unneeded = {name for name, kinds in FIELDS_OF_KINDS.items() if kind not in kinds}
        self._control.table["test/fault"](given.without(unneeded))

    def _edit(self, given: Parameters) -> None:
        self._commands.run("deal/update", self._session, given)
        self._follow(given, self._books.deal(given.whole("deal")).login)

    def _delete(self, given: Parameters) -> None:
        login = self._books.deal(given.whole("ticket")).login
        self._commands.run("deal/delete", self._session, given)
        self._follow(given, login)

    def _fix(self, given: Parameters) -> None:
        self._books.checked_money(given.whole("login"), fix=True)

    def _follow(self, given: Parameters, login: int) -> None:
        if "follow" in given:
            self._books.checked_money(login, fix=True)


async def _read(reader: asyncio.StreamReader) -> Asked:
    """One request. Raises `Refused` for what is none, or too large."""
    try:
        first = (await reader.readline()).decode("latin-1").split()
        headers: dict[str, str] = {}
        while (line := (await reader.readline()).decode("latin-1").strip()) != "":
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
            if len(headers) > _HEADER_LIMIT:
                raise Refused(400, "Too many headers.")
        if len(first) != 3 or not headers.get("content-length", "0").isdecimal():
            raise Refused(400, "Not a request.")
        length = int(headers.get("content-length", "0"))
        if length > _BODY_LIMIT:
            raise Refused(413, "The form is too large.")
        body = (await reader.readexactly(length)).decode("utf-8", "replace")
    except (ValueError, asyncio.IncompleteReadError) as error:
        raise Refused(400, "Not a request.") from error
    path, _, query = first[1].partition("?")
    return Asked(first[0], path, _pairs(query), headers, _pairs(body))


def _pairs(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise Refused(400, "Too many fields.") from error
