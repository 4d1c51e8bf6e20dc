#!/usr/bin/env bash
# Install the Debian packages of a list that are missing:  bash scripts/install_packages.sh LIST
#
# LIST is a file with one package a line and # comments. Without root it names the command to run and fails.
set -euo pipefail
readonly list=$1

say() { printf 'packages: %s\n' "$*" >&2; }

command -v dpkg-query >/dev/null ||
    { say "not a Debian system: see $list for what must be installed"; exit 0; }
mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$list")
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort) \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort))
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    say "Debian packages are missing. Run this, then try again:" \
        "sudo apt-get install -y --no-install-recommends ${missing[*]}"
    exit 1
fi
say "installing ${missing[*]}"
# Debian starts the servers it installs; the tests start their own, on ports and folders of their own.
readonly policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
