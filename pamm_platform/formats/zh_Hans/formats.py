"""Chinese: amounts of money in groups of three, as banks and brokers write them; dates are Django's, the month
without a zero.
"""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
MONTH_DAY_FORMAT = "n月j日"
