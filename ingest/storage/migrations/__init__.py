"""Alembic's environment and versions; run by `ingest.storage.migrate`."""
