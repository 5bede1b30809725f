"""What a deal means for the account, and how leniently answers are read."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from trading.gateway import Deal, DealAction
from trading.mt5 import records, retcodes
from trading.mt5.answers import Answer, Record, UnreadableAnswer
from trading.mt5.connection import _certificates

UTC_ZONE = ZoneInfo("UTC")


def deal(action: int) -> Deal:
    return Deal(
        ticket=1,
        login=1,
        action=action,
        entry=1,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        server_seconds=0,
        symbol="",
        volume=Decimal(0),
        volume_closed=Decimal(0),
        contract_size=Decimal(0),
        price=Decimal(0),
        profit=Decimal("10.00"),
        storage=Decimal("-1.00"),
        commission=Decimal("-0.50"),
        fee=Decimal("-0.25"),
        order=0,
        position=0,
        dealer=0,
        comment="",
    )


FLOWS = {2, 4, 5, 6}
CREDIT_ONLY = {3, 20}


@pytest.mark.parametrize("action", list(DealAction))
def test_every_action_is_flow_or_result_and_credit_never_touches_the_balance(action: int) -> None:
    one = deal(action)
    assert one.amount == Decimal("8.25")
    assert one.is_flow == (action in FLOWS | {3})
    assert one.balance_change == (0 if action in CREDIT_ONLY else Decimal("8.25"))
    assert one.trade_result == (0 if action in FLOWS | CREDIT_ONLY else Decimal("8.25"))


def test_action_the_server_invents_later_counts_as_result_not_as_flow() -> None:
    assert deal(99).trade_result == Decimal("8.25")


def test_scalars_are_read_as_strings_or_numbers_in_either_case() -> None:
    as_text = Record({"Balance": "26000.00", "login": "7"})
    as_number = Record({"balance": Decimal("26000.00"), "LOGIN": 7})
    for record in (as_text, as_number):
        assert (record.decimal("Balance"), record.integer("Login")) == (Decimal("26000.00"), 7)


@pytest.mark.parametrize("value", ["", None, "abc", "NaN", "Infinity", [], {}])
def test_field_that_is_no_number_is_unreadable(value: object) -> None:
    with pytest.raises(UnreadableAnswer):
        Record({"Balance": value}).decimal("Balance")


@pytest.mark.parametrize(("text", "code"), [("0 Done", 0), ("10019 Not enough money", 10019), (3006, 3006)])
def test_return_code_is_the_number_before_the_text(text: object, code: int) -> None:
    assert Answer({"retcode": text}).code == code


@pytest.mark.parametrize("members", [{}, {"retcode": "Done"}, [], "x", None])
def test_answer_without_return_code_is_unreadable(members: object) -> None:
    with pytest.raises(UnreadableAnswer):
        Answer(members)


@pytest.mark.parametrize(
    ("fields", "lots"),
    [
        ({"Volume": "100"}, "0.01"),
        ({"Volume": "10000", "VolumeExt": "100000000"}, "1"),
        ({"Volume": "0", "VolumeExt": "12345"}, "0.00012345"),
        ({"Volume": 1_000_000}, "100"),
        ({}, "0"),
    ],
)
def test_volume_is_read_from_either_unit(fields: dict[str, object], lots: str) -> None:
    read = records.volume(Record(fields), "Volume")
    assert str(read) == lots


def test_deal_of_an_older_server_without_fine_times_and_fees_is_read() -> None:
    read = records.deal(
        Record({"Deal": "5", "Login": "7", "Action": "2", "Time": "1767225600", "Profit": "1.00"}), UTC_ZONE
    )
    assert (read.ticket, read.at, read.amount) == (5, datetime(2026, 1, 1, tzinfo=UTC), Decimal(1))


def test_processing_errors_and_time_outs_leave_an_order_unknown() -> None:
    assert not any(map(retcodes.refuses_order, (2, 7, 9, 10, 14, 10008, 10009, 10010, 10011, 10012)))
    assert all(map(retcodes.refuses_order, (3, 8, 13, 10004, 10006, 10013, 10019, 10036, 11002)))


def test_bundle_holds_each_of_its_certificates() -> None:
    pem = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
    assert _certificates("preamble\n" + pem.format("AQID") + pem.format("BAUG")) == [b"\1\2\3", b"\4\5\6"]


BUY, SELL, BUY_CANCELED, SELL_CANCELED = 0, 1, 13, 14
IN, OUT, IN_OUT, OUT_BY = range(4)


@pytest.mark.parametrize(
    ("action", "entry", "volume", "volume_closed", "lots"),
    [
        (BUY, IN, "1.00", "0", "0"),
        (SELL, OUT, "1.00", "1.00", "1.00"),
        (SELL, OUT, "1.00", "0", "1.00"),  # a server that does not name what was closed
        (BUY, OUT_BY, "0.40", "0.40", "0.40"),
        (BUY, OUT_BY, "0.40", "0", "0.40"),
        (SELL, IN_OUT, "3.00", "1.25", "1.25"),
        (SELL, IN_OUT, "3.00", "0", "0"),
        (BUY_CANCELED, IN, "1.00", "0", "0"),
        (SELL_CANCELED, OUT, "1.00", "1.00", "-1.00"),
        (BUY_CANCELED, OUT_BY, "0.40", "0", "-0.40"),
        (SELL_CANCELED, IN_OUT, "3.00", "1.25", "-1.25"),
        (2, OUT, "1.00", "1.00", "0"),  # a balance operation closes nothing, whatever else it says
        (7, OUT, "1.00", "1.00", "0"),
    ],
)
def test_closed_lots_are_those_that_reduced_a_position(
    action: int, entry: int, volume: str, volume_closed: str, lots: str
) -> None:
    one = replace(deal(action), entry=entry, volume=Decimal(volume), volume_closed=Decimal(volume_closed))
    assert one.closed_lots == Decimal(lots)


def test_reversal_as_the_server_gives_it_closes_what_it_names_as_closed() -> None:
    read = records.deal(
        Record({
            "Deal": "9", "Login": "7", "Action": "1", "Entry": "2", "Time": "1767225600", "Profit": "1.00",
            "Volume": "30000", "VolumeExt": "300000000",
            "VolumeClosed": "12500", "VolumeClosedExt": "125000000",
        }),
        UTC_ZONE,
    )  # fmt: skip
    assert (read.volume, read.closed_lots) == (Decimal(3), Decimal("1.25"))
