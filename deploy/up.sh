#!/bin/sh
# Starts everything and waits until it is healthy: deploy/up.sh [options of `docker compose up`]
# With monitoring: COMPOSE_PROFILES=monitoring deploy/up.sh
set -eu
cd "$(dirname "$0")"
sh ./secrets.sh
exec docker compose -f compose.yaml up --detach --build --wait "$@"
