"""Which pages are shown together, and in which order."""

from tests.every_page.pages import BACK_OFFICE, PAGES, Page
from tests.every_page.people import ADMIN, AGENT, INVESTOR, MANAGER, NEWCOMER, SECURED, STAFF, VISITOR

OF_WHOM = {
    VISITOR: "Visitors",
    INVESTOR: "Investors",
    NEWCOMER: "Investors",
    SECURED: "Investors",
    MANAGER: "Managers",
    AGENT: "Agents",
    STAFF: "Back office",
    ADMIN: "Back office",
}
OF_ROUTE = {
    "widgets:leaderboard": "Widgets",
    "widgets:offer": "Widgets",
    "brokers:design": "Design system",
    "brokers:design-sheet": "Design system",
}
ORDER = (*dict.fromkeys(OF_WHOM.values()), *dict.fromkeys(OF_ROUTE.values()))


def sections() -> dict[str, list[Page]]:
    """All pages, each in one section."""
    found: dict[str, list[Page]] = {name: [] for name in ORDER}
    for page in (*PAGES, *BACK_OFFICE):
        found[OF_ROUTE.get(page.route, OF_WHOM[page.who])].append(page)
    return found
