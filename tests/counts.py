"""How many cases a campaign runs: few with every push, many under `make soak`."""

import os


def cases(*, push: int, soak: int) -> int:
    """`soak` where the environment says so (`SOAK=1`), else `push`."""
    return soak if os.environ.get("SOAK") else push
