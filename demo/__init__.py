"""Two brokers with a year of history, for `make demo`. Not installed in production."""
