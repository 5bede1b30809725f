"""Programs for people who work on the platform; nothing here runs in production."""
