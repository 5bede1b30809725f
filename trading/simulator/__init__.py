"""A simulated trading server: a program of its own that speaks the MT5 Web API over TLS and keeps durable
books.

It shares no code with the client adapter, so a misunderstanding of the protocol cannot hide on both sides at
once. Inside it, money is whole minor units, a price whole points and a volume whole 1e-8 lots: plain
integers.
"""
