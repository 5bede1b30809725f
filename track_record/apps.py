from django.apps import AppConfig


class TrackRecordConfig(AppConfig):
    name = "track_record"
