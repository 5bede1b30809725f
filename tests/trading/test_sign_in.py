"""Challenge and answer, what a stranger gets, and how long a connection is kept."""

import http.client
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.simulator import MANAGER_LOGIN, SimulatorProcess
from trading.gateway import Applied, GatewayNotAuthorised, GatewayUnavailable
from trading.mt5.authentication import challenge_answer, password_hash
from trading.mt5.connection import Connection, ConnectionLost, Endpoint, Forbidden
from trading.mt5.gateway import Mt5Gateway
from trading.simulator import session
from trading.simulator.certificate import ensure_certificate

PASSWORD_1_HASH = "904ba8ecb16273d2f0ae9c3b8a023752"
CHALLENGES = [
    ("73007dc7184747ce0f7c98516ef1c851", "77fe51827f7fa69dd80fbec9aa33f1bb"),
    ("4db98fec17aab4dc5a240bdc659e8395", "1732021b1b332f51660b2b315eed3a35"),
]


def stranger(simulator: SimulatorProcess) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cadata=simulator.certificate)
    return http.client.HTTPSConnection(simulator.host, simulator.port, timeout=5, context=context)


def asked(connection: http.client.HTTPSConnection, path: str) -> tuple[int, str]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def certificate_of_an_authority(folder: Path, name: str) -> tuple[str, Path, Path]:
    """PEM of an authority, and the files of a certificate it signed for `name` with its key."""
    authority_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer, subject = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]) for common_name in ("CA", name)
    )
    now = datetime.now(UTC)

    def signed(owner: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> bytes:
        builder = (
            x509.CertificateBuilder(issuer, owner, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    leaf, key = folder / "leaf.pem", folder / "leaf.key"
    leaf.write_bytes(signed(subject, leaf_key, authority=False))
    key.write_bytes(
        leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return signed(issuer, authority_key, authority=True).decode(), leaf, key


@contextmanager
def impostor(certificate: Path, key: Path) -> Iterator[tuple[int, list[str]]]:
    """A server that says yes to everybody: its port, and the paths it was asked for."""
    seen: list[str] = []

    class SaysYes(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append(self.path)
            content = json.dumps({"retcode": "0 Done", "srv_rand": "00" * 16, "cli_rand_answer": "00" * 16})
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), SaysYes)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], seen
    server.shutdown()
    server.server_close()


def test_password_hash_of_the_published_password_is_the_published_one() -> None:
    assert password_hash("Password1").hex() == PASSWORD_1_HASH
    assert session.stored_hash("Password1").hex() == PASSWORD_1_HASH


@pytest.mark.parametrize(("challenge", "answer"), CHALLENGES)
def test_challenge_answer_of_both_sides_is_the_published_one(challenge: str, answer: str) -> None:
    stored = bytes.fromhex(PASSWORD_1_HASH)
    assert challenge_answer(stored, bytes.fromhex(challenge)).hex() == answer
    assert session.proof(stored, bytes.fromhex(challenge)).hex() == answer


@pytest.mark.parametrize("command", ["test/access", "user/get?login=1", "test/tick?symbol=EURUSD&bid=1"])
def test_command_of_a_stranger_is_answered_403_and_the_end(simulator: SimulatorProcess, command: str) -> None:
    connection = stranger(simulator)
    status, text = asked(connection, f"/api/{command}")
    assert (status, text) == (403, "403 Forbidden")
    assert connection.sock is None


def test_session_does_not_reach_another_connection(simulator: SimulatorProcess) -> None:
    signed_in = Connection(simulator.endpoint())
    assert signed_in.ask("test/access").code == 0
    assert asked(stranger(simulator), "/api/test/access")[0] == 403
    signed_in.close()


def test_wrong_manager_password_is_not_authorised(simulator: SimulatorProcess) -> None:
    with pytest.raises(GatewayNotAuthorised):
        Connection(simulator.endpoint(password="Wrong!2026"))


def test_unknown_manager_login_is_not_authorised(simulator: SimulatorProcess) -> None:
    with pytest.raises(GatewayNotAuthorised):
        Connection(simulator.endpoint(login=4242))


def test_server_with_an_untrusted_certificate_is_unavailable(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    other, _ = ensure_certificate(tmp_path, ["127.0.0.1"])
    with pytest.raises(GatewayUnavailable):
        Connection(simulator.endpoint(certificate=other.read_text()))


def test_server_with_a_pinned_certificate_of_another_name_is_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    ensure_certificate(folder, ["access.server.example"])
    process = SimulatorProcess(folder).start()
    try:
        assert Connection(process.endpoint()).ask("test/access").code == 0
    finally:
        process.stop()


def test_foreign_name_under_a_trusted_authority_is_not_enough(tmp_path: Path) -> None:
    authority, leaf, key = certificate_of_an_authority(tmp_path, "access.server.example")
    process = SimulatorProcess(tmp_path / "books", "--tls-cert", str(leaf), "--tls-key", str(key)).start()
    try:
        with pytest.raises(GatewayUnavailable, match="not pinned"):
            Connection(process.endpoint(certificate=authority))
        assert Connection(process.endpoint(certificate=authority + leaf.read_text())).is_open
    finally:
        process.stop()


def test_server_that_cannot_prove_the_password_is_not_trusted(tmp_path: Path) -> None:
    """Whoever answers every challenge with success but does not know the password gets no command."""
    certificate, key = ensure_certificate(tmp_path, ["127.0.0.1"])
    with impostor(certificate, key) as (port, seen):
        endpoint = Endpoint("127.0.0.1", port, MANAGER_LOGIN, "Manager!2026", certificate.read_text())
        with pytest.raises(GatewayNotAuthorised, match="not the one we trust"):
            Connection(endpoint)
        assert [path.split("?")[0] for path in seen] == ["/api/auth/start", "/api/auth/answer"]


def test_closed_connection_never_opens_another_by_itself(simulator: SimulatorProcess) -> None:
    connection = Connection(simulator.endpoint())
    connection.close()
    with pytest.raises(ConnectionLost):
        connection.ask("test/access")


def test_sign_in_answered_after_the_window_is_refused(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--sign-in-window", "0.3").start()
    try:
        connection = stranger(process)
        path = f"/api/auth/start?version=4755&agent=test&login={MANAGER_LOGIN}&type=manager"
        challenge = json.loads(asked(connection, path)[1])["srv_rand"]
        answer = challenge_answer(password_hash("Manager!2026"), bytes.fromhex(challenge)).hex()
        time.sleep(0.6)
        with pytest.raises((http.client.HTTPException, OSError)):
            asked(connection, f"/api/auth/answer?srv_rand_answer={answer}&cli_rand={os.urandom(16).hex()}")
    finally:
        process.stop()


def test_idle_connection_is_closed_and_reads_go_on(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--idle-timeout", "0.3").start()
    try:
        login = process.add_account(amount="100.00")
        gateway = process.gateway()
        assert gateway.account(login) is not None
        direct = Connection(process.endpoint())
        time.sleep(0.8)
        with pytest.raises(ConnectionLost):
            direct.ask("test/access")
        assert gateway.account(login) is not None
        gateway.close()
    finally:
        process.stop()


def test_money_does_not_travel_on_a_connection_that_died_idle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading.mt5.gateway.PROVEN_FOR", 0.5)
    process = SimulatorProcess(tmp_path, "--idle-timeout", "0.3").start()
    try:
        login = process.add_account()
        gateway = process.gateway()
        gateway.account(login)
        time.sleep(0.8)
        assert isinstance(gateway.adjust_balance(login, Decimal(1), "key"), Applied)
        gateway.close()
    finally:
        process.stop()


def test_request_head_with_bare_line_feeds_is_understood(simulator: SimulatorProcess) -> None:
    context = ssl.create_default_context(cadata=simulator.certificate)
    plain = http.client.HTTPSConnection(simulator.host, simulator.port, timeout=5, context=context)
    plain.connect()
    plain.sock.sendall(
        b"GET /api/auth/start?version=484&agent=a&login=1000&type=manager HTTP/1.1\n  Host: x\n\n"
    )
    answer = plain.sock.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 200")
    assert '{"retcode":"0 Done"' in answer
    plain.close()


def test_read_after_a_session_flap_signs_in_again(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login = simulator.add_account(amount="10.00")
    simulator.arm_fault("forbid", "user/get_batch")
    account = gateway.account(login)
    assert account is not None
    assert account.balance == 10


def test_read_that_stays_forbidden_is_not_authorised(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.arm_fault("forbid", "user/get_batch", calls=2)
    with pytest.raises(GatewayNotAuthorised):
        gateway.account(1)


def test_forbidden_on_a_raw_connection_closes_it(simulator: SimulatorProcess) -> None:
    connection = Connection(simulator.endpoint())
    simulator.arm_fault("forbid", "symbol/total")
    with pytest.raises(Forbidden):
        connection.ask("symbol/total")
    assert not connection.is_open
