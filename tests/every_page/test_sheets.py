"""A confirmation opens in place as a sheet, for the keyboard too; without JavaScript it is a page."""

import pytest
from playwright.sync_api import expect

from tests.every_page.people import INVESTOR, MANAGER, VISITOR
from tests.every_page.site import DESK, PHONE, Site
from tests.every_page.test_every_page import judged


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_request_is_asked_about_in_a_sheet(site: Site, size: dict[str, int]) -> None:
    window = site.window_of(INVESTOR)
    tab = window.page
    tab.set_viewport_size({"width": size["width"], "height": size["height"]})
    tab.goto(f"/requests/{site.people.request.public_id}/")
    asking = tab.get_by_role("link", name="Cancel the request")
    asking.focus()
    tab.keyboard.press("Enter")
    sheet = tab.get_by_role("dialog", name="Cancel the request?")
    expect(sheet).to_contain_text("No money has moved.")
    assert sheet.locator("form").get_attribute("action") == asking.evaluate("link => link.href")
    expect(sheet.get_by_role("link", name="Keep it")).to_be_focused()
    faults = judged(tab, "sheet")
    sheet.get_by_role("button").focus()
    faults += [*judged(tab, "sheet, about to be sent"), *window.take_troubles()]
    assert not faults, "\n".join(["", *faults])
    tab.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(asking).to_be_focused()
    asking.click()
    sheet.get_by_role("link", name="Keep it").click()
    expect(sheet).to_have_count(0)
    assert tab.url.endswith(f"/requests/{site.people.request.public_id}/")


def test_manager_rejects_in_a_sheet_and_is_told_on_a_page_what_is_missing(site: Site) -> None:
    window = site.window_of(MANAGER)
    tab = window.page
    tab.set_viewport_size(PHONE)
    tab.goto("/manage/requests/")
    tab.locator(f"a[href='/manage/requests/{site.people.pending.public_id}/reject/']").click()
    sheet = tab.get_by_role("dialog", name="Reject this request?")
    expect(sheet.get_by_label("Reason")).to_be_focused()
    faults = judged(tab, "sheet")
    assert not faults, "\n".join(["", *faults])
    with window.refused():
        window.press("Reject")
    assert tab.url.endswith(f"/{site.people.pending.public_id}/reject/")
    expect(tab.locator(".field-error")).to_be_visible()
    assert window.take_troubles() == []


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_manager_sees_the_total_of_what_he_chose_in_a_sheet(site: Site, size: dict[str, int]) -> None:
    window = site.window_of(MANAGER)
    tab = window.page
    tab.set_viewport_size({"width": size["width"], "height": size["height"]})
    tab.goto("/manage/requests/")
    confirming = tab.get_by_role("button", name="Confirm chosen")
    # Nothing is chosen: the page itself says so.
    with tab.expect_navigation():
        confirming.click()
    expect(tab.locator(".notice-warning")).to_contain_text("Choose at least one request")
    tab.locator(f"#pick-{site.people.pending.public_id}").check()
    confirming.focus()
    tab.keyboard.press("Enter")
    sheet = tab.get_by_role("dialog", name="Confirm 1 request?")
    expect(sheet.locator(".total")).to_contain_text("Together")
    expect(sheet).to_contain_text("you cannot take your consent back")
    faults = [*judged(tab, "sheet"), *window.take_troubles()]
    assert not faults, "\n".join(["", *faults])
    tab.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(confirming).to_be_focused()
    expect(tab.locator(f"#pick-{site.people.pending.public_id}")).to_be_checked()


def test_sheet_confirms_and_a_toast_says_so(site: Site) -> None:
    window = site.window_of(VISITOR)
    window.page.goto("/design/")
    window.page.get_by_role("link", name="Ask me").click()
    window.press("Cancel the sample")
    expect(window.page.locator("[data-toast]")).to_contain_text("this was a sample")
    assert window.take_troubles() == []


def test_without_javascript_the_question_is_a_page(site: Site) -> None:
    context = site.browser.new_context(base_url=site.address, java_script_enabled=False)
    tab = context.new_page()
    tab.goto("/design/")
    tab.get_by_role("link", name="Ask me").click()
    assert tab.url.endswith("/design/sheet/")
    tab.get_by_role("button", name="Cancel the sample").click()
    assert tab.url.endswith("/design/")
    assert "this was a sample" in tab.inner_text("main")
    context.close()


def test_question_that_cannot_be_fetched_opens_as_a_page(site: Site) -> None:
    window = site.window_of(VISITOR)
    tab = window.page
    tab.goto("/design/")
    tab.evaluate("() => { window.fetch = () => Promise.reject(new Error('no line')); }")
    with tab.expect_navigation():
        tab.get_by_role("link", name="Ask me").click()
    assert tab.url.endswith("/design/sheet/")
    assert window.take_troubles() == []
