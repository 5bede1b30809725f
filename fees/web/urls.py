"""Pages of fees."""

from django.urls import path

from fees.web import manager

app_name = "fees"

urlpatterns = [
    path("manage/income/", manager.income, name="income"),
    path("manage/income/charges.csv", manager.income_csv, name="income-csv"),
]
