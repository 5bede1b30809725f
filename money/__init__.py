"""Minor units, rounding by name and splitting: the only arithmetic that money goes through. Pure."""
