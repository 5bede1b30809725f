"""`python -m pamm_platform.embedded up|down|env --dir .run/dev`: the embedded servers by hand.

`up` leaves them running and prints the environment as `export` lines; `down --erase` removes their files too.
"""

import argparse
import shlex
from pathlib import Path

from pamm_platform.embedded.services import start_services, stop_services


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m pamm_platform.embedded", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "env"))
    parser.add_argument("--dir", type=Path, default=Path(".run/dev"), help="run folder (default .run/dev)")
    parser.add_argument("--throwaway", action="store_true", help="no durability: for tests only")
    parser.add_argument("--erase", action="store_true", help="with down: remove the data")
    arguments = parser.parse_args()
    if arguments.action == "down":
        stop_services(arguments.dir, erase=arguments.erase)
        return
    services = start_services(arguments.dir, throwaway=arguments.throwaway, keep=arguments.action == "up")
    for name, value in services.environment().items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
