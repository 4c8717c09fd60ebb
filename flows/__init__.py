"""The Prefect flows that schedule `ingest`: pulling due feeds, and maintenance."""

import os

# Prefect reports the use of its package, and of the server that it starts where PREFECT_API_URL names none, to its makers.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
