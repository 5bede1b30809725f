"""`make screenshots`: every page of the demo as pictures, in `docs/screenshots`."""
