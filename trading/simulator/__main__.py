"""`python -m trading.simulator`: run the simulated trading server until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import timedelta, tzinfo
from decimal import Decimal
from pathlib import Path

from trading.simulator.books import Books
from trading.simulator.catalogue import GROUPS, SYMBOLS, Symbol
from trading.simulator.certificate import ensure_certificate
from trading.simulator.clock import ServerClock, zone_named
from trading.simulator.commands import Behaviour, Commands
from trading.simulator.console import ADDRESS, Console
from trading.simulator.control import Control
from trading.simulator.credentials import manager_password
from trading.simulator.faults import Faults
from trading.simulator.market import Market, NoPrice
from trading.simulator.pages import Pages
from trading.simulator.server import Server
from trading.simulator.store import Store
from trading.simulator.switches import Switches


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    folder: Path = options.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    zone = _zone_of(store, options.timezone)
    clock = ServerClock(
        zone,
        advance=timedelta(seconds=int(store.meta("advance_seconds") or 0)),
        shift=timedelta(minutes=int(store.meta("zone_shift_minutes") or 0)),
    )
    market = Market(options.symbols, clock, options.seed)
    try:
        market.require_rates({group.currency for group in GROUPS.values()})
    except NoPrice as error:
        sys.exit(f"these symbols leave no price for {error}")
    for name, bid, ask, time_msc, frozen in store.quotes():
        market.restore(name, bid, ask, time_msc, bool(frozen))
    if options.frozen:
        for quote in market.quotes.values():
            quote.frozen = True
    switches = Switches.kept(store)
    switches.idle_states_hidden |= options.idle_states_absent
    books = Books(store, market, clock, switches, options.commission_per_lot)
    behaviour = Behaviour(
        documented_case=options.documented_case,
        dealer_delay=options.dealer_delay,
        sign_in_window=options.sign_in_window,
        idle_timeout=options.idle_timeout,
    )
    faults = Faults()
    commands = Commands(
        store=store,
        books=books,
        market=market,
        clock=clock,
        faults=faults,
        passwords=dict.fromkeys(options.manager_logins, manager_password(folder)),
        behaviour=behaviour,
    )
    control = Control(
        store=store,
        books=books,
        market=market,
        clock=clock,
        faults=faults,
        switches=switches,
        calls=commands.calls,
        commands=commands.names,
    )
    console = Console(
        pages=Pages(
            store=store,
            books=books,
            market=market,
            clock=clock,
            faults=faults,
            switches=switches,
            zone_name=options.timezone,
            commands=sorted(commands.names),
        ),
        books=books,
        commands=commands,
        control=control,
        store=store,
    )
    server = Server(
        commands=commands,
        control=control if options.test_commands else None,
        books=books,
        market=market,
        store=store,
        faults=faults,
        behaviour=behaviour,
        tick_interval=options.tick_interval,
    )
    if options.tls_cert and options.tls_key:
        certificate, key = options.tls_cert, options.tls_key
    else:
        certificate, key = ensure_certificate(folder, ["localhost", "127.0.0.1", "::1", *options.tls_name])
    tls = certificate, key
    ports = asyncio.run(
        _run(server, tls, (options.host, options.port), console, options.console_port, control)
    )
    store.close()
    if control.restart_asked.is_set():
        time.sleep(control.seconds_down)
        given = sys.argv[1:] if arguments is None else arguments
        # an option that comes again replaces the former
        command = [sys.executable, "-m", "trading.simulator", *given, *ports]
        os.execv(sys.executable, command)  # noqa: S606 - what we were started with


async def _run(
    server: Server,
    tls: tuple[Path, Path],
    address: tuple[str, int],
    console: Console,
    console_port: int | None,
    control: Control,
) -> list[str]:
    """Serve until told to end or to restart; the options that choose the same ports again."""
    listening = [await server.listen(*address, *tls)]
    ports = [f"--port={_port_of(listening[0])}"]
    sys.stdout.write(f"simulator listening on {address[0]}:{_port_of(listening[0])}\n")
    if console_port is not None:
        listening.append(await console.listen(console_port))
        ports.append(f"--console-port={_port_of(listening[1])}")
        sys.stdout.write(f"console at http://{ADDRESS}:{_port_of(listening[1])}\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    ticking = asyncio.create_task(server.tick())
    ending = [asyncio.create_task(event.wait()) for event in (stopped, control.restart_asked)]
    # a heartbeat that fails ends the server: prices that stand still unnoticed would be worse
    await asyncio.wait({ticking, *ending}, return_when=asyncio.FIRST_COMPLETED)
    for each in listening:
        each.close()
    for waiting in ending:
        waiting.cancel()
    if ticking.done():
        ticking.result()
    ticking.cancel()
    return ports


def _port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def _zone_of(store: Store, name: str) -> tzinfo:
    """The zone the books are kept in. Another one than before would move every deal in time."""
    kept = store.meta("timezone")
    if kept is None:
        store.put_meta("timezone", name)
        store.commit()
    elif kept != name:
        sys.exit(f"these books are kept in {kept}, not in {name}")
    return zone_named(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trading.simulator", description=__doc__)
    folder, port = os.environ.get("SIMULATOR_FOLDER"), os.environ.get("SIMULATOR_PORT")
    parser.add_argument("--data-dir", type=Path, default=folder, required=folder is None)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=int, default=port, required=port is None, help="0 takes a free one and prints it"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timezone", default="Europe/Athens", help="IANA name, or UTC+2")
    parser.add_argument("--symbols", type=_symbols, default=",".join(SYMBOLS), help="comma-separated")
    parser.add_argument(
        "--manager-logins",
        type=_logins,
        default="1000,1001,1002",
        help="comma-separated, one password for all",
    )
    parser.add_argument("--tick-interval", type=float, default=1.0, help="seconds")
    parser.add_argument("--commission-per-lot", type=Decimal, default=Decimal(0), help="USD per lot and side")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--tls-name", action="append", default=[], help="further name in the certificate")
    parser.add_argument("--frozen", action="store_true", help="start with prices standing still")
    parser.add_argument("--test-commands", action="store_true", help="serve /api/test/tick and its siblings")
    parser.add_argument(
        "--console-port", type=int, help=f"serve a page for people on {ADDRESS}; 0 takes a free one"
    )
    parser.add_argument(
        "--documented-case", action="store_true", help="Ticket, Total, Time, ID with capitals"
    )
    parser.add_argument("--idle-states-absent", action="store_true", help="no account state before activity")
    parser.add_argument("--dealer-delay", type=float, default=0.02, help="seconds a dealer request waits")
    parser.add_argument("--sign-in-window", type=float, default=10.0)
    parser.add_argument("--idle-timeout", type=float, default=180.0)
    return parser


def _logins(text: str) -> list[int]:
    return [int(login) for login in text.split(",")]


def _symbols(text: str) -> list[Symbol]:
    unknown = [name for name in text.split(",") if name not in SYMBOLS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown symbols: {', '.join(unknown)}")
    return [SYMBOLS[name] for name in text.split(",")]


if __name__ == "__main__":
    main()
