"""What django-unfold shows around the back office's pages; the brand comes from the broker that was asked."""

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "pamm_platform.admin_site.brand_name",
    "SITE_HEADER": "pamm_platform.admin_site.brand_name",
    "SITE_SYMBOL": "account_balance",
    "COLORS": "pamm_platform.admin_site.brand_colours",
    "SITE_FAVICONS": [
        {"rel": "icon", "href": "pamm_platform.admin_site.favicon"},
    ],
    "STYLES": ["pamm_platform.admin_site.style_sheet", "pamm_platform.admin_site.style_sheet_of_language"],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SIDEBAR": {"show_search": True, "show_all_applications": False},
}
