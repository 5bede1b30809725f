"""Pages of investments."""

from django.urls import path

from allocation.web import investor

app_name = "allocation"

urlpatterns = [
    path("portfolio/", investor.portfolio_page, name="portfolio"),
    path("portfolio/figures/", investor.portfolio_figures, name="portfolio-figures"),
    path("portfolio/entries.csv", investor.entries_csv, name="entries-csv"),
    path("portfolio/fees.csv", investor.charges_csv, name="charges-csv"),
    path("investments/<uuid:public_id>/", investor.investment_page, name="investment"),
    path("investments/<uuid:public_id>/figures/", investor.investment_figures, name="investment-figures"),
]
