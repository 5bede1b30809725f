"""PostgreSQL and Redis (or Valkey) for development, tests and the demo: no container, no system service.

`running_services` starts or adopts them for as long as a program needs them; `python -m
pamm_platform.embedded` does it by hand. Production never imports this package.
"""

from pamm_platform.embedded.services import (
    Services,
    free_memory,
    running_services,
    start_services,
    stop_services,
)

__all__ = ["Services", "free_memory", "running_services", "start_services", "stop_services"]
