"""Adapter to MetaTrader 5 through its Web API (HTTPS, JSON answers, session bound to the TCP connection)."""
