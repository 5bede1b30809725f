"""The network side: TLS connections, requests, answers, and the market's heartbeat."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from trading.simulator.books import Books, Refusal
from trading.simulator.commands import Behaviour, Commands, Members, SessionRefused
from trading.simulator.control import Control
from trading.simulator.faults import ON_THE_WAY, FaultKind, Faults
from trading.simulator.market import Market
from trading.simulator.parameters import Parameters
from trading.simulator.session import Session
from trading.simulator.store import Store

_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 16 * 1024 * 1024
_QUOTES_KEPT_EVERY = 5


class MalformedRequest(Exception):
    """Not something one can answer; the connection is closed."""


@dataclass(frozen=True, slots=True)
class Request:
    command: str
    query: str
    body: bytes


class Server:
    def __init__(
        self,
        *,
        commands: Commands,
        control: Control | None,
        books: Books,
        market: Market,
        store: Store,
        faults: Faults,
        behaviour: Behaviour,
        tick_interval: float,
    ) -> None:
        """`control` None: the `test/*` commands are not served."""
        self._commands = commands
        self._control = control
        self._books = books
        self._market = market
        self._store = store
        self._faults = faults
        self._behaviour = behaviour
        self._tick_interval = tick_interval

    async def listen(self, host: str, port: int, certificate: Path, key: Path) -> asyncio.Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return await asyncio.start_server(
            self._serve, host, port, ssl=context, limit=_HEAD_LIMIT, ssl_handshake_timeout=10
        )

    async def tick(self) -> None:
        """Move prices for ever, close what falls under its stop-out level, charge swaps at the day change."""
        self._books.change_day()
        for beat in itertools.count():
            await asyncio.sleep(self._tick_interval)
            if self._market.step():
                self._books.stop_out()
            self._books.change_day()
            if beat % _QUOTES_KEPT_EVERY == 0:
                self._books.keep_quotes()
            self._store.commit()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session()
        try:
            while True:
                async with asyncio.timeout(self._patience(session)):
                    request = await _read_request(reader)
                if request is None or not await self._answer(request, session, writer):
                    return
        except (TimeoutError, MalformedRequest, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            # the end of this connection, or of the server; there is nobody left to tell
            return
        finally:
            writer.close()

    def _patience(self, session: Session) -> float:
        """Seconds to wait for the next request."""
        signing_in = bool(session.challenge)
        return self._behaviour.sign_in_window if signing_in else self._behaviour.idle_timeout

    async def _answer(self, request: Request, session: Session, writer: asyncio.StreamWriter) -> bool:
        """Carry out one request; whether the connection goes on."""
        if request.command == "quit":
            await _send(writer, 200, json.dumps({"retcode": "0 Done"}))
            return False
        try:
            parameters = Parameters(request.query, request.body)
            if self._control and request.command in self._control.table:
                members = self._controlled(request.command, session, parameters)
            else:
                answer = await self._answer_under_faults(request.command, session, parameters)
                if answer is None:
                    writer.transport.abort()
                    return False
                members = answer
        except SessionRefused:
            await _send(writer, 403, "403 Forbidden")
            return False
        except Refusal as refusal:
            members = {"retcode": str(refusal)}
        await _send(writer, 200, _encoded(members))
        return True

    def _controlled(self, command: str, session: Session, parameters: Parameters) -> Members:
        assert self._control is not None
        if not session.authenticated:
            raise SessionRefused
        self._commands.calls[command] += 1
        try:
            return {"retcode": "0 Done", **self._control.table[command](parameters)}
        finally:
            self._store.commit()

    async def _answer_under_faults(
        self, command: str, session: Session, parameters: Parameters
    ) -> Members | None:
        """What is answered; None: nothing, the connection breaks."""
        fault = self._faults.take(command, parameters.logins, ON_THE_WAY)
        kind = fault.kind if fault else None
        if kind is FaultKind.DROP_BEFORE:
            return None
        if kind is FaultKind.FORBID:
            raise SessionRefused
        if fault and kind is FaultKind.APPLY_LATE:
            # the session goes with the connection: what was accepted on it is still carried out
            self._faults.late += 1
            asyncio.get_running_loop().call_later(
                fault.seconds, self._apply_unheard, command, replace(session), parameters
            )
            return None
        refuse = fault.code if fault and kind is FaultKind.REFUSE else 0
        answered = self._commands.run(command, session, parameters, refuse=refuse)
        if kind is FaultKind.DROP_AFTER:
            return None
        members = self._faults.distort(command, parameters.logins, {"retcode": "0 Done", **answered})
        if fault and kind is FaultKind.LATE:
            await asyncio.sleep(fault.seconds)
        return members

    def _apply_unheard(self, command: str, session: Session, parameters: Parameters) -> None:
        self._faults.late -= 1
        with suppress(Refusal, SessionRefused):
            self._commands.run(command, session, parameters)


def _encoded(members: Members) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None at the end of the connection.

    Heads are read leniently, since some clients end lines with a bare LF or put blanks before a header.
    """
    try:
        line = await reader.readline()
        while line in (b"\r\n", b"\n"):
            line = await reader.readline()
        if not line:
            return None
        first = line.decode("latin-1").split()
        length = 0
        while (header := (await reader.readline()).decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            if name.strip().lower() == "content-length":
                length = int(value)
        if len(first) < 2 or not 0 <= length <= _BODY_LIMIT:
            raise MalformedRequest
        body = await reader.readexactly(length) if length else b""
    except (ValueError, asyncio.IncompleteReadError) as error:
        raise MalformedRequest from error
    path, _, query = first[1].partition("?")
    return Request(path.removeprefix("/api/").strip("/").lower(), query, body)


async def _send(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    content = text.encode()
    kind = "application/json; charset=utf-8" if status == 200 else "text/plain"
    phrase = "OK" if status == 200 else "Forbidden"
    connection = "keep-alive" if status == 200 else "close"
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        f"Connection: {connection}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    await writer.drain()
