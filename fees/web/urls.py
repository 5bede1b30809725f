"""Pages of fees."""

from django.urls import path

from fees.web import agent, manager

app_name = "fees"

urlpatterns = [
    path("manage/income/", manager.income, name="income"),
    path("manage/income/charges.csv", manager.income_csv, name="income-csv"),
    path("agent/", agent.overview, name="agent"),
    path("agent/clients/", agent.clients, name="agent-clients"),
    path("agent/parts.csv", agent.parts_csv, name="agent-csv"),
]
