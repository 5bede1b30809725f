"""A mail server of the tests: takes letters over SMTP, refuses or hangs up when told to."""

import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True)
class Letter:
    recipients: list[str]
    message: EmailMessage


class PostOffice:
    """`says`: an answer in place of the usual one to `MAIL`, `RCPT`, `DATA`, or at the `END` of a letter."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.says: dict[str, str] = {}
        self.connections = 0
        self.hangs_up_after_the_letter = False
        self.sleeps_after_the_letter = False
        office = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                office._serve(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "PostOffice":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nobody answers any more."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, session: Any) -> None:
        self.connections += 1
        recipients: list[str] = []

        def reply(line: str) -> None:
            session.wfile.write(line.encode() + b"\r\n")

        reply("220 post office")
        while line := session.rfile.readline().decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb == "QUIT":
                reply("221 bye")
                return
            if verb == "RCPT" and verb not in self.says:
                recipients.append(line.partition("<")[2].partition(">")[0])
            if verb == "MAIL":
                recipients = []
            if verb != "DATA" or verb in self.says:
                reply(self.says.get(verb, "250 fine"))
                continue
            reply("354 go on")
            content = b""
            while (part := session.rfile.readline()) != b".\r\n":
                content += part[1:] if part.startswith(b"..") else part
            if "END" in self.says:
                reply(self.says["END"])
                continue
            message = message_from_bytes(content, policy=policy.default)
            self.letters.append(Letter(recipients, message))
            while self.sleeps_after_the_letter:
                time.sleep(0.05)
            if self.hangs_up_after_the_letter:
                session.connection.shutdown(socket.SHUT_RDWR)
                return
            reply("250 taken")
