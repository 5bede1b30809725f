"""Chinese: amounts of money in groups of three, as banks and brokers write them; dates are Django's, with
no zero before the month.
"""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
MONTH_DAY_FORMAT = "n月j日"
