"""A long list is the same HTML as Django's own, without a template for each entry."""

from django import forms
from django.test import SimpleTestCase

from brokers.web.long_select import LongSelect

CHOICES = [
    ("", "As my broker has it"),
    ("Europe", [("Europe/London", "London"), ("Europe/Berlin", 'Berlin & "more"')]),
    ("<x>", "a > b"),
]


def test_long_list_is_written_as_djangos_own() -> None:
    attributes = {"class": "form-select", "required": True, "disabled": False}
    for chosen in (None, "", "Europe/Berlin", "<x>", "nothing of it"):
        plain = forms.Select(attributes, CHOICES).render("zone", chosen, {"id": "id_zone"})
        quick = LongSelect(attributes, CHOICES).render("zone", chosen, {"id": "id_zone"})
        SimpleTestCase().assertHTMLEqual(plain, quick)
        assert quick.count(" selected") == plain.count(" selected")
