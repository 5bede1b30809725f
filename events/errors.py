"""What delivery declines to do."""

from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal


class NotYoursToChoose(Refusal):
    code = "not_yours_to_choose"
    message = _("This kind of notification cannot be chosen by you.")
