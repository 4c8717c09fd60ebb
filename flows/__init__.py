"""The Prefect flows that schedule `ingest`: pulling due feeds, and maintenance."""
