"""`make demo`: everything the platform needs on one machine, started together and ended together."""
