"""Errors of the flows, on the tree of `ingest.errors`."""

from ingest.errors import ServerUnreachable


class PrefectUnreachable(ServerUnreachable):
    """No Prefect API is set, or it does not answer."""
