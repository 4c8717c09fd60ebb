#!/usr/bin/env bash
# Builds the image from deploy/Dockerfile and runs deploy/compose.yaml from its files, without a container daemon (`make
# deploy-proof`). Needs root, Debian, 10 GB of disk, and half an hour at worst.
#
# The base image cannot be had everywhere, so where PYTHON_IMAGE is not in buildah's storage yet, a Debian with Python 3.11 made
# by debootstrap stands in for it. Everything else is what the files say: buildah runs the Dockerfile, and the test of the
# compose file runs what comes out, as the user and on the read-only root that they name.
set -euo pipefail
cd "$(dirname "$0")/../.."
BASE=docker.io/library/python:3.11-slim-bookworm
# What the image may add to the base, which is about 130 MB, to stay below 700 MB.
LIMIT=570000000
WORK=${WORK:-/var/tmp/conflictwire-proof}
mkdir -p "$WORK"
builder() { buildah --storage-driver vfs "$@"; }

missing=()
for tool in buildah podman debootstrap; do command -v $tool > /dev/null || missing+=("$tool"); done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get install --yes --no-install-recommends "${missing[@]}" crun > "$WORK/apt.log" 2>&1 ||
        { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}" crun; } > "$WORK/apt.log" 2>&1
fi

if ! builder inspect --type image $BASE > /dev/null 2>&1; then
    root=$WORK/base
    [ -e "$root/usr/bin/python3.11" ] || debootstrap --variant=minbase \
        --include=python3.11,python3.11-venv,python3-pip,ca-certificates bookworm "$root" > "$WORK/debootstrap.log"
    # As in the image: `python` in /usr/local/bin, and pip may install beside it. How registries are reached is this machine's.
    ln -sf /usr/bin/python3.11 "$root/usr/local/bin/python"
    rm -f "$root"/usr/lib/python3.11/EXTERNALLY-MANAGED
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp /etc/pip.conf "$root/etc/" 2> /dev/null || true
    tar -C "$root" -c . | podman --storage-driver vfs import - $BASE > /dev/null
fi

build() {
    builder bud --format docker --isolation chroot --pull-never --network host "$@" -f deploy/Dockerfile . \
        > "$WORK/build.log" 2>&1 ||
        { tail -40 "$WORK/build.log"; exit 1; }
}

files() {
    local container folder
    container=$(builder from --pull-never "$1")
    folder=$(builder mount "$container")
    (cd "$folder" && find opt/conflictwire -type f -print0 | sort -z | xargs -0 sha256sum) > "$WORK/$1.sha256"
    echo "$folder"
}

trap 'builder rm --all > /dev/null; builder rmi --force conflictwire-proof:1 conflictwire-proof:2 > /dev/null 2>&1 || true' EXIT
build -t conflictwire-proof:1
image=$(files conflictwire-proof:1)
size=$(du -sb "$image/opt/conflictwire" | cut -f1)
echo "the image adds $size bytes to its base"
[ "$size" -lt $LIMIT ] || { echo "more than $LIMIT"; exit 1; }

if [ "${REPRODUCE:-}" = 1 ]; then
    build -t conflictwire-proof:2
    files conflictwire-proof:2 > /dev/null
    diff "$WORK/conflictwire-proof:1.sha256" "$WORK/conflictwire-proof:2.sha256"
    echo "built twice, the same $(wc -l < "$WORK/conflictwire-proof:1.sha256") files"
fi

CONFLICTWIRE_IMAGE_ROOT=$image .venv/bin/python -m pytest -p no:xdist tests/deploy/test_stack.py
