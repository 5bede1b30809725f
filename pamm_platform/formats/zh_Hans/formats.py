"""Chinese: amounts of money in groups of three, as banks and brokers write them."""

THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
