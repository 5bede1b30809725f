"""What the track record's endpoints take and give."""

from rest_framework import serializers

from track_record.queries import ChartRange


class PriceSeriesQuerySerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Parameters of a price series."""

    range = serializers.ChoiceField(
        choices=[choice.value for choice in ChartRange], default=ChartRange.YEAR.value
    )


class SeriesPointSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """One price. Decimals are strings; `drawdown` is a fraction, 0 or negative."""

    at = serializers.DateTimeField()
    price = serializers.DecimalField(max_digits=36, decimal_places=12)
    drawdown = serializers.DecimalField(max_digits=12, decimal_places=9)


class PriceSeriesSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Prices of an account's present series of units, oldest first."""

    account = serializers.UUIDField()
    currency = serializers.CharField()
    range = serializers.CharField()
    as_of = serializers.DateTimeField(allow_null=True)
    start_price = serializers.DecimalField(
        max_digits=36, decimal_places=12, allow_null=True, help_text="What the range's return counts from."
    )
    points = SeriesPointSerializer(many=True)
