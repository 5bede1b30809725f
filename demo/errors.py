"""Why the demo was not loaded."""


class DemoNotLoadable(RuntimeError):
    """The text says what is in the way and what to do about it."""
