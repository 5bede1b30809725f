"""How the fields of allauth's forms look."""

from allauth.account.adapter import get_adapter
from django import template
from django.forms import BoundField, CheckboxInput
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def styled(field: BoundField) -> SafeString:
    """The field's input in the style of the cabinet; a placeholder that repeats the label is left out."""
    kind = "form-check-input" if isinstance(field.field.widget, CheckboxInput) else "form-control"
    field.field.widget.attrs.pop("placeholder", None)
    return field.as_widget(attrs={"class": kind})


@register.simple_tag(takes_context=True)
def may_sign_up(context: template.Context) -> bool:
    """Whether the sign-up page is open to this visitor."""
    return bool(get_adapter().is_open_for_signup(context["request"]))
