#!/usr/bin/env python3
"""Ends with 0 when a URL answers with a status below 400: `healthcheck [URL]`.

Without a URL it is /livez on the port of CONFLICTWIRE_METRICS__PORT; where that is not set there is nothing to ask.
"""

import os
import sys
import urllib.error
import urllib.request


def main() -> None:
    """Ask once, for three seconds at most."""
    port = os.environ.get("CONFLICTWIRE_METRICS__PORT", "0")
    url = sys.argv[1] if len(sys.argv) > 1 else f"http://127.0.0.1:{port}/livez" if port != "0" else None
    if url is None:
        return
    try:
        # No proxy of the environment: the server is in this very container.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=3):
            return
    except (urllib.error.URLError, OSError) as error:
        sys.exit(f"{url}: {error}")


if __name__ == "__main__":
    main()
