"""PDF files: what they say, in Latin and Chinese, and that they look alike everywhere."""

import io
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from PIL import Image
from pypdf import PdfReader

from accounts.models import PammAccount, User
from brokers.models import BrandImage, Broker
from brokers.services import set_brand_image
from offers.models import Offer
from statements import document as documents
from statements.document import Document, document_of
from statements.models import StatementKind
from statements.pdf import pdf_of
from statements.queries import all_lines, get_subject_for, statement_of, zone_of
from statements.web.forms import PeriodForm
from tests.statements.worlds import JANUARY, MONTH_END, fee, price
from tests.worlds import AliceBobCharlie


def text_of(content: bytes) -> str:
    """The words of all pages with ordinary spaces and minus signs."""
    pages = PdfReader(io.BytesIO(content)).pages
    text = " ".join(page.extract_text() for page in pages).replace("\N{MINUS SIGN}", "-")
    return re.sub(r"\s+", " ", text)


def fonts_of(content: bytes) -> set[str]:
    """Names of the fonts that are embedded, without the mark of a subset."""
    found = set()
    for page in PdfReader(io.BytesIO(content)).pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
            assert "/FontFile2" in descriptor or "/FontFile3" in descriptor, "embedded"
            found.add(re.sub(r"^/[A-Z]{6}\+", "", font["/BaseFont"]))
    return found


def document(world: AliceBobCharlie) -> Document:
    subject = get_subject_for(User.objects.get(pk=world.bob.pk), StatementKind.INVESTOR)
    broker = Broker.objects.get()
    zone = zone_of(subject.user, broker)
    form = PeriodForm({"since": "2026-01-01", "until": "2026-01-31"})
    with timezone.override(zone):
        statement = statement_of(subject, form.required(subject, zone))
        return document_of(statement, all_lines(statement), broker)


def test_pdf_of_an_investor_tells_what_the_page_tells(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    answer = bob.get(f"/statements/statement.pdf?{JANUARY}")
    assert answer["Content-Type"] == "application/pdf"
    assert 'filename="statement-investor-2026-01-01-2026-01-31.pdf"' in answer["Content-Disposition"]
    text = text_of(answer.content)
    for words in (
        "Alpha", "Statement", "1 Jan 2026 to 31 Jan 2026", "bob@example.com", "+78.00", "1,078.00",
        "Pool 9000", "Deposit +1,000.00 USD", "Performance fee", "-22.00 USD", "Page 1 of 1",
    ):  # fmt: skip
        assert words in text, (words, text)
    assert fonts_of(answer.content) <= {"Inter-Regular", "Inter-SemiBold"}
    assert len(answer.content) < 100_000


def test_pdf_of_managers_and_agents_tells_income(
    world: AliceBobCharlie, january: None, alice: Client
) -> None:
    text = text_of(alice.get(f"/manage/statements/statement.pdf?{JANUARY}").content)
    for words in ("Statement of income", "Fees by kind", "22.00", "20.00", "bob@example.com"):
        assert words in text


def test_chinese_names_are_written_with_their_own_letters(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    User.objects.filter(pk=world.bob.pk).update(first_name="伟", last_name="王", language="zh-hans")
    Broker.objects.update(name="阿尔法市场")
    PammAccount.objects.filter(pk=world.pool.account.pk).update(name="稳健增长")
    Offer.objects.update(name="标准方案")
    content = bob.get(f"/statements/statement.pdf?{JANUARY}").content
    text = text_of(content)
    for words in ("伟 王", "阿尔法市场", "稳健增长", "标准方案", "1,078.00"):
        assert words in text
    assert {name.split("-")[0] for name in fonts_of(content)} == {"Inter", "NotoSansSC"}
    assert len(content) < 150_000, "only the glyphs that occur"


def test_long_statement_repeats_the_header_of_its_lines_and_numbers_its_pages(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    many_fees_after_january(world)
    pages = PdfReader(
        io.BytesIO(bob.get("/statements/statement.pdf?since=2026-01-01&until=2026-02-28").content)
    ).pages
    assert len(pages) > 2
    for number, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert f"Page {number} of {len(pages)}" in text
        if "-0.02" in text.replace("\N{MINUS SIGN}", "-"):
            assert "Amount" in text
        if number > 1:
            assert "1 Jan 2026 to 28 Feb 2026" in text


def many_fees_after_january(world: AliceBobCharlie) -> None:
    for number in range(120):
        fee(world, "0.02", price(world, "1.1", MONTH_END + timedelta(hours=number + 2), number + 2))


def test_name_is_never_taken_for_markup(world: AliceBobCharlie, january: None, bob: Client) -> None:
    name = '#read("/etc/passwd") *bold* $x$ <label> \\ "'
    PammAccount.objects.filter(pk=world.pool.account.pk).update(name=name)
    text = text_of(bob.get(f"/statements/statement.pdf?{JANUARY}").content)
    assert '#read("/etc/passwd")' in text
    assert "*bold* $x$ <label>" in text


def test_statement_with_far_too_many_lines_says_where_they_are(
    world: AliceBobCharlie, january: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_LINES", 1)
    made = document(world)
    assert [table.title for table in made.tables] == ["Investments"]
    assert "2 lines of this period are too many for a PDF" in made.notes[0]
    assert "+78.00" in text_of(pdf_of(made))


def test_period_without_anything_makes_a_pdf_that_says_so(world: AliceBobCharlie, bob: Client) -> None:
    text = text_of(bob.get("/statements/statement.pdf?since=2025-01-01&until=2025-01-31").content)
    assert "Nothing happened in this period" in text


def test_brand_stands_on_the_first_page_and_the_company_below_the_last(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    def pictures() -> int:
        reader = PdfReader(io.BytesIO(bob.get(f"/statements/statement.pdf?{JANUARY}").content))
        return len(reader.pages[0].images)

    assert pictures() == 0, "the platform's mark is drawn"
    broker = Broker.objects.get()
    upload = io.BytesIO()
    Image.new("RGB", (400, 80), "#aa3300").save(upload, "PNG")
    set_brand_image(broker=broker, kind=BrandImage.Kind.LOGO, uploaded=upload.getvalue())
    Broker.objects.update(primary_colour="nocolor", email_footer="Alpha Ltd\nRegulated by nobody")
    assert pictures() == 1
    text = text_of(bob.get(f"/statements/statement.pdf?{JANUARY}").content)
    assert "Alpha Ltd · Regulated by nobody" in text
