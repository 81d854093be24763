#!/bin/sh
# Installs what the tests need from the system: PostgreSQL, Chromium, Ceph, nginx, faketime and libfiu. Where it may not, it
# says so and goes on; the tests that need them then fail by name, or are skipped.
set -u

missing() {
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || echo postgresql
    command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || echo chromium
    command -v faketime >/dev/null 2>&1 || echo faketime
    command -v fiu-run >/dev/null 2>&1 || echo fiu-utils
    command -v nginx >/dev/null 2>&1 || echo nginx-light
    for program in radosgw ceph-mon ceph-osd; do
        command -v "$program" >/dev/null 2>&1 || echo "$program"
    done
}

wanted=$(missing)
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "Not installed, and only root with apt-get could do it here:" $wanted >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# One by one, so that what cannot be had keeps nothing else away.
for package in $wanted; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null
done
left=$(missing)
[ -z "$left" ] || echo "apt-get could not install:" $left >&2
