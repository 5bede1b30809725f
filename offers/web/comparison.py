"""Up to four offers side by side."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.disclosure_words import disclosure_in_words
from accounts.models import User
from brokers.errors import NotFound
from offers.web.examples import FeeInShort, fee_in_short, other_fees
from offers.web.investor import is_joinable
from offers.web.own_money import own_share
from offers.web.price_picture import LETTERS, ComparedPicture, compared_picture
from offers.words import terms_by_subject
from track_record import words
from track_record.calc.record import months_before
from track_record.calc.statistics import PricePoint
from track_record.models import AccountStatistics
from track_record.queries import LeaderboardRow, daily_points, offers_to_compare
from track_record.words import Definition, Told

MOST_OFFERS = 4
PARAMETER = "offer"


@dataclass(frozen=True, slots=True)
class Column:
    """One offer of a comparison. `letter` stands for it in the picture."""

    letter: str
    row: LeaderboardRow
    fee: tuple[Decimal, Decimal]
    other_fees: Sequence[FeeInShort]
    own_share: Decimal | None
    is_joinable: bool
    without_url: str


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One statistic of all offers. `told` is None where an account has no price yet."""

    definition: Definition
    cells: Sequence["Cell"]


@dataclass(frozen=True, slots=True)
class Cell:
    """`is_best`: better than the others, where at least two tell it."""

    told: Told | None
    is_best: bool


def chosen_offers(parameters: QueryDict) -> list[uuid.UUID]:
    """The offers an address names, each once; what is no identifier is passed over."""
    chosen: dict[uuid.UUID, None] = {}
    for text in parameters.getlist(PARAMETER)[: 5 * MOST_OFFERS]:
        try:
            chosen[uuid.UUID(text)] = None
        except ValueError:
            continue
    return list(chosen)


@require_safe
def comparison_page(request: HttpRequest) -> HttpResponse:
    """The chosen offers that this person may see, the first four. Raises `NotFound` where there is none of
    those that were asked for.
    """
    user = request.user if isinstance(request.user, User) else None
    asked = chosen_offers(request.GET)
    found = offers_to_compare(user, asked)
    if asked and not found:
        raise NotFound
    shown = found[:MOST_OFFERS]
    columns = [_column(letter, row, shown) for letter, row in zip(LETTERS, shown, strict=False)]
    context = {
        "columns": columns,
        "figures": _figures(shown),
        "subjects": _subjects(shown),
        "picture": _picture(shown),
        "hidden_count": len(asked) - len(found),
        "left_out": [row.account.name for row in found[MOST_OFFERS:]],
        "may_add": len(shown) < MOST_OFFERS,
        "add_url": _address(reverse("offers:leaderboard"), shown),
        "has_several_currencies": len({row.account.currency for row in shown}) > 1,
        "meaning": words,
    }
    return render(request, "offers/comparison.html", context)


def _column(letter: str, row: LeaderboardRow, shown: Sequence[LeaderboardRow]) -> Column:
    others = [other for other in shown if other is not row]
    return Column(
        letter=letter,
        row=row,
        fee=fee_in_short(row.terms),
        other_fees=other_fees(row.terms),
        own_share=own_share(row.statistics) if row.statistics else None,
        is_joinable=is_joinable(row.offer),
        without_url=_address(reverse("offers:comparison"), others),
    )


def _address(path: str, rows: Sequence[LeaderboardRow]) -> str:
    parameters = urlencode([(PARAMETER, row.offer.public_id) for row in rows])
    return f"{path}?{parameters}" if parameters else path


def _figures(rows: Sequence[LeaderboardRow]) -> list[ComparedFigure]:
    return [
        _compared(definition, [row.statistics for row in rows])
        for definition in (*words.RETURNS, *words.RISKS, *words.RATIOS)
    ]


def _compared(definition: Definition, of: Sequence[AccountStatistics | None]) -> ComparedFigure:
    figures = [words.told(statistics, [definition])[0] if statistics else None for statistics in of]
    values = [figure.value for figure in figures if figure is not None and figure.value is not None]
    choose: Callable[[list[Decimal]], Decimal] = max if definition.more_is_better else min
    best = choose(values) if len(values) > 1 and len(set(values)) > 1 else None
    return ComparedFigure(
        definition,
        [
            Cell(figure, best is not None and figure is not None and figure.value == best)
            for figure in figures
        ],
    )


@dataclass(frozen=True, slots=True)
class ComparedSubject:
    """What each offer's terms, or its account, say about one subject."""

    title: str
    sentences: Sequence[Sequence[str]]


def _subjects(rows: Sequence[LeaderboardRow]) -> list[ComparedSubject]:
    for row in rows:
        # The sentences name the currency: the account is here already.
        row.terms.offer = row.offer
    by_offer = [terms_by_subject(row.terms) for row in rows]
    compared = [
        ComparedSubject(subjects[0].title, [subject.sentences for subject in subjects])
        for subjects in zip(*by_offer, strict=True)
    ]
    disclosed = [[disclosure_in_words(row.account.disclosure, row.account.disclosure_delay)] for row in rows]
    compared.append(ComparedSubject(_("Trades"), disclosed))
    return [subject for subject in compared if any(subject.sentences)]


def _picture(rows: Sequence[LeaderboardRow]) -> ComparedPicture | None:
    """One line per account: two offers of one account share theirs."""
    records: dict[int, Sequence[PricePoint]] = {}
    letters: dict[int, str] = {}
    names: dict[int, str] = {}
    for letter, row in zip(LETTERS, rows, strict=False):
        if row.statistics is None or not row.statistics.daily:
            return None
        letters[row.account.pk] = letters.get(row.account.pk, "") + letter
        names[row.account.pk] = row.account.name
        records[row.account.pk] = daily_points(row.statistics)
    if not records:
        return None
    latest = max(record[-1].at for record in records.values())
    named = {(letters[account], names[account]): record for account, record in records.items()}
    return compared_picture(named, months_before(latest, 12))
