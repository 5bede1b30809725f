"""Once through in Chinese: a visitor whose phone speaks it finds an offer, signs in, invests, sees the profit
and takes the statement home.
"""

import re
from datetime import datetime
from decimal import Decimal
from io import BytesIO

from playwright.sync_api import expect
from pypdf import PdfReader

from offers.models import Offer
from tests.circle.world import terms
from tests.journeys.conftest import EnterSite, House
from tests.journeys.rolling import roll
from tests.journeys.test_on_a_phone import PHONE
from tests.journeys.visitor import Visitor
from tests.worlds import PASSWORD
from track_record.services import refresh_statistics

FETCH = "async (address) => [...new Uint8Array(await (await fetch(address)).arrayBuffer())]"
DAY = re.compile(r"20\d\d年\d{1,2}月\d{1,2}日")


def test_visitor_with_a_chinese_phone_goes_once_through(house: House, enter: EnterSite) -> None:
    desk = house.desk
    lin = desk.client("lin", "5000")
    lantern = desk.pamm_account(house.manager("wei", "5000"), "1000.00", name="Lantern")
    desk.offer(
        lantern,
        terms((None, "0.20"), minimum_first=Decimal(500), minimum_remaining=Decimal(50)),
        name="Lantern",
        approval=Offer.Approval.AUTOMATIC,
    )
    roll(desk, lantern)
    desk.bring_price_to(lantern, Decimal("1.02"))
    roll(desk, lantern)
    lantern.refresh_from_db()
    refresh_statistics([lantern])

    visitor = enter("lin", locale="zh-CN", **PHONE)
    page = visitor.page
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.locator("h1")).to_have_text("选择业绩可查的管理人进行投资")
    visitor.sees("您的资金面临风险。")
    visitor.fits()
    visitor.take_picture("chinese-leaderboard")
    _change_language(visitor, "English", "Your capital is at risk.")
    _change_language(visitor, "简体中文", "您的资金面临风险。")

    visitor.follow("Lantern")
    expect(page.locator("#price-chart canvas").first).to_be_visible()
    visitor.sees("最大回撤")
    visitor.fits()
    visitor.take_picture("chinese-offer")
    visitor.follow("我已有账户")
    page.get_by_label("电子邮件").fill(lin.user.email)
    page.get_by_label("密码", exact=True).fill(PASSWORD)
    visitor.fits()
    visitor.press("登录")

    page.get_by_label("您想投资多少？").fill("1000")
    visitor.press("查看费用")
    visitor.sees("您需要支付的费用")
    visitor.fits()
    visitor.take_picture("chinese-costs")
    page.get_by_label("我了解投资可能亏损").check()
    visitor.press("投资1,000.00\N{NO-BREAK SPACE}USD")
    visitor.sees("已收到您的申请")
    visitor.fits()
    visitor.take_picture("chinese-request")
    roll(desk, lantern)
    desk.bring_price_to(lantern, Decimal("1.122"))
    roll(desk, lantern)

    visitor.open_place("投资组合")
    assert visitor.facts()["净额"] == "1,080.00 USD"
    visitor.sees("+80.00")
    visitor.fits()
    visitor.take_picture("chinese-portfolio")
    visitor.follow("Lantern")
    assert DAY.search(page.locator(".timeline-list time").first.inner_text())
    visitor.fits()
    page.goto("/statements/?period=all")
    visitor.sees("期末市值")
    assert DAY.search(page.locator(".statement-lines time").first.inner_text())
    visitor.fits()
    visitor.take_picture("chinese-statement")
    address = page.get_by_role("link", name="PDF").first.get_attribute("href")
    pdf = PdfReader(BytesIO(bytes(page.evaluate(FETCH, address))))
    written = "".join(sheet.extract_text() for sheet in pdf.pages)
    assert "对账单" in written
    assert f"{datetime.now():%Y}年" in written
    assert "1,080.00" in written


def _change_language(visitor: Visitor, name: str, then_seen: str) -> None:
    visitor.go(visitor.page.locator(".language-switch").get_by_role("button", name=name))
    visitor.sees(then_seen)
