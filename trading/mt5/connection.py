"""One authenticated connection to an MT5 Web API.

The server binds a session to the socket, so nothing here ever reconnects by itself: a lost connection is
gone, and whether the last request was carried out is for the caller to find out.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hmac import compare_digest
from typing import Any
from urllib.parse import quote

from trading.gateway import GatewayNotAuthorised, GatewayUnavailable, refuse_inside_transaction
from trading.mt5 import retcodes
from trading.mt5.answers import Answer, UnreadableAnswer
from trading.mt5.authentication import challenge_answer, password_hash

CLIENT_BUILD = "4755"
CLIENT_AGENT = "PAMM"
_NAME_MISMATCHES = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class ConnectionLost(Exception):
    """The connection broke after a request began to leave: the server may or may not have acted on it."""


class Forbidden(Exception):
    """403: this connection holds no session (any more)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is and who we are there.

    `certificate` is PEM text: trusted as authority for the server's name, and a certificate in it that the
    server itself presents is trusted whatever name it carries. Blank: the machine's own authorities.
    """

    host: str
    port: int
    login: int
    password: str = field(repr=False)
    certificate: str = ""
    connect_timeout: float = 5.0
    answer_timeout: float = 15.0


class Connection:
    def __init__(self, endpoint: Endpoint) -> None:
        """Connect and authenticate. Raises `GatewayUnavailable`, `GatewayNotAuthorised`."""
        refuse_inside_transaction()
        self._endpoint = endpoint
        try:
            self._http = _connected(endpoint)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayUnavailable(f"{endpoint.host}:{endpoint.port}: {error}") from error
        self.last_used = time.monotonic()
        try:
            self._authenticate()
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        return self._http.sock is not None

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        command: str,
        parameters: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send one command and read its answer; GET, or POST where there is a body.

        Raises `ConnectionLost`, `Forbidden`, and `UnreadableAnswer` for an answer that is none.
        """
        refuse_inside_transaction()
        # by hand: urlencode writes blanks as "+", which not every server takes for a blank
        query = "&".join(
            f"{name}={quote(str(value), safe=',')}" for name, value in (parameters or {}).items()
        )
        url = f"/api/{command}" + (f"?{query}" if query else "")
        payload = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Connection": "keep-alive"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._http.request("GET" if payload is None else "POST", url, body=payload, headers=headers)
            response = self._http.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionLost(f"{command}: {type(error).__name__} {error}".strip()) from error
        self.last_used = time.monotonic()
        if response.will_close:
            self.close()
        if response.status == http.HTTPStatus.FORBIDDEN:
            self.close()
            raise Forbidden(f"{command}: 403")
        if response.status != http.HTTPStatus.OK:
            raise UnreadableAnswer(f"{command}: HTTP {response.status}")
        try:
            return Answer(json.loads(content, parse_float=Decimal))
        except ValueError as error:
            raise UnreadableAnswer(f"{command}: the answer is not JSON") from error

    def _authenticate(self) -> None:
        endpoint = self._endpoint
        stored_hash, challenge = password_hash(endpoint.password), os.urandom(16)
        try:
            start = self.ask(
                "auth/start",
                {"version": CLIENT_BUILD, "agent": CLIENT_AGENT, "login": endpoint.login, "type": "manager"},
            )
            _require_signed_in(start)
            ours = challenge_answer(stored_hash, bytes.fromhex(start.top.text("srv_rand")))
            answer = self.ask("auth/answer", {"srv_rand_answer": ours.hex(), "cli_rand": challenge.hex()})
            _require_signed_in(answer)
            theirs = bytes.fromhex(answer.top.text("cli_rand_answer"))
        except Forbidden as error:
            raise GatewayNotAuthorised(f"the server refused manager login {endpoint.login}") from error
        except (ConnectionLost, UnreadableAnswer, ValueError) as error:
            raise GatewayUnavailable(f"sign-in was not answered: {error}") from error
        if not compare_digest(theirs, challenge_answer(stored_hash, challenge)):
            raise GatewayNotAuthorised("the server does not know our password: it is not the one we trust")


def _require_signed_in(answer: Answer) -> None:
    if answer.code in retcodes.SIGN_IN_REFUSALS or answer.code == retcodes.NO_PERMISSION:
        raise GatewayNotAuthorised(answer.text)
    if answer.code != retcodes.DONE:
        raise GatewayUnavailable(f"sign-in: {answer.text}")


def _connected(endpoint: Endpoint) -> http.client.HTTPSConnection:
    try:
        return _opened(endpoint, _tls_context(endpoint, check_name=True))
    except ssl.SSLCertVerificationError as error:
        if not endpoint.certificate or error.verify_code not in _NAME_MISMATCHES:
            raise
    # trading servers often carry a self-signed certificate with somebody else's name: good only if it is
    # pinned
    connection = _opened(endpoint, _tls_context(endpoint, check_name=False))
    presented = connection.sock.getpeercert(binary_form=True)
    if presented not in _certificates(endpoint.certificate):
        connection.close()
        raise ssl.SSLCertVerificationError("the certificate carries another name and is not pinned")
    return connection


def _opened(endpoint: Endpoint, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    connection = http.client.HTTPSConnection(
        endpoint.host, endpoint.port, timeout=endpoint.connect_timeout, context=context
    )
    connection.connect()
    connection.sock.settimeout(endpoint.answer_timeout)
    # http.client would otherwise open a second, unauthenticated socket behind our back and repeat nothing we
    # know of
    connection.auto_open = 0
    return connection


def _tls_context(endpoint: Endpoint, *, check_name: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=endpoint.certificate or None)
    if endpoint.certificate:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = check_name
    return context


def _certificates(pem: str) -> list[bytes]:
    end = "-----END CERTIFICATE-----"
    begin = "-----BEGIN CERTIFICATE-----"
    blocks = [block[block.index(begin) :] for block in pem.split(end) if begin in block]
    return [ssl.PEM_cert_to_DER_cert(f"{block}{end}\n") for block in blocks]
