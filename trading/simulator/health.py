"""`python -m trading.simulator.health --port P`: exit status 0 if a server answers there."""

from __future__ import annotations

import argparse
import http.client
import ssl
import sys


def answers(host: str, port: int, timeout: float) -> bool:
    """Whether the server completes a TLS handshake and answers; a stranger's 403 is an answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # alive or not is all that is asked: nothing secret is sent
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        connection.request("GET", "/api/test/access")
        return connection.getresponse().status in (200, 403)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trading.simulator.health", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--timeout", type=float, default=3.0)
    options = parser.parse_args()
    sys.exit(0 if answers(options.host, options.port, options.timeout) else 1)


if __name__ == "__main__":
    main()
