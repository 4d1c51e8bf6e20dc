#!/usr/bin/env bash
# Put the source tree of pjproject into a directory:  fetch_pjsip.sh VERSION COMMIT CACHE DIRECTORY
#
# Tried in order, the first that works wins and is kept in CACHE as a tarball:
#   1. a tarball kept by an earlier run (checked against the SHA-256 noted then);
#   2. upstream's git tag VERSION, which must be exactly COMMIT;
#   3. the Debian source package `asterisk`, whose orig-Xpjproject component is pjproject in full, from
#      the machine's own Debian mirror and under apt's signature check.
# Some machines reach only their package mirror, hence 3. PJPROJECT_GIT names another git repository.
set -euo pipefail

readonly version=$1 commit=$2 cache=$3 directory=$4
readonly upstream=${PJPROJECT_GIT:-https://github.com/pjsip/pjproject.git}
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
readonly kept=$cache/pjproject-$version.tar.xz

say() { printf 'fetch_pjsip: %s\n' "$*" >&2; }

# version_of TREE: the version the tree says it is.
version_of() {
    make -s -f - <<<"include $1/version.mak
all:;@echo \$(PJ_VERSION)"
}

unpack() { mkdir -p "$directory" && tar -xf "$1" -C "$directory" --strip-components=1; }

# keep FILE: store FILE as the cached tarball, the checksum last, so a half-written pair never passes.
keep() {
    mkdir -p "$cache"
    cp "$1" "$kept.part" && mv "$kept.part" "$kept"
    (cd "$cache" && sha256sum "${kept##*/}" >"${kept##*/}.sha256")
}

from_cache() {
    [ -f "$kept.sha256" ] && (cd "$cache" && sha256sum --quiet -c "${kept##*/}.sha256") && unpack "$kept"
}

from_git() {
    command -v git >/dev/null || return 1
    export GIT_TERMINAL_PROMPT=0
    # The first question is asked with a short patience: an unreachable upstream must not hold up the build.
    timeout 10 git ls-remote --exit-code "$upstream" "refs/tags/$version" >/dev/null 2>&1 || return 1
    timeout 600 git -c advice.detachedHead=false clone -q --depth 1 --branch "$version" \
        "$upstream" "$work/git" || return 1
    local found
    found=$(git -C "$work/git" rev-parse HEAD)
    if [ "$found" != "$commit" ]; then
        say "tag $version at $upstream is commit $found, expected $commit: not used"
        return 1
    fi
    git -C "$work/git" archive --prefix="pjproject-$version/" HEAD | xz -1 >"$work/git.tar.xz"
    keep "$work/git.tar.xz" && unpack "$work/git.tar.xz"
}

# The archives this machine is configured for, Debian's own first. Whether one really is Debian is
# decided by the signature, so a wrong guess costs a failed attempt and nothing else.
mirrors() {
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
        awk '{ print ($1 == "Debian" && $2 == "Debian") ? 0 : 1, $NF }' | sort -u | cut -d' ' -f2
}

from_debian() {
    command -v apt-get >/dev/null || return 1
    [ -f "$keyring" ] || { say "$keyring is missing (package debian-archive-keyring)"; return 1; }
    local mirror suite
    for mirror in $(mirrors); do
        for suite in testing unstable; do
            from_suite "$mirror" "$suite" && return 0
        done
    done
    return 1
}

# from_suite MIRROR SUITE: apt with its own lists and cache, so the machine's configuration stays as it is.
from_suite() {
    local apt=$work/apt source
    rm -rf "$apt" && mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/files"
    chmod -R a+rX "$work"
    printf '%s\n' 'Types: deb-src' "URIs: $1" "Suites: $2" 'Components: main' "Signed-By: $keyring" \
        >"$apt/sources/debian.sources"
    local options=(-qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/sources"
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Get::List-Cleanup=false
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
    apt-get "${options[@]}" update >"$apt/log" 2>&1 || return 1
    (cd "$apt/files" && apt-get "${options[@]}" source --download-only --only-source asterisk) \
        >>"$apt/log" 2>&1 || return 1
    source=$(find "$apt/files" -name '*.orig-Xpjproject.tar.xz' | head -n 1)
    [ -n "$source" ] || return 1
    unpack "$source"
    if [ "$(version_of "$directory")" != "$version" ]; then
        say "Debian $2 carries pjproject $(version_of "$directory"), not $version"
        rm -rf "$directory"
        return 1
    fi
    keep "$source"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for way in from_cache from_git from_debian; do
    if "$way"; then
        say "pjproject $version ${way/_/ }"
        exit 0
    fi
    rm -rf "$directory"
done
say "no source for pjproject $version: neither $upstream nor a Debian mirror could be used." \
    "Set PJPROJECT_SRC to a source tree or tarball of pjproject $version and run scripts/build_pjsip.sh again."
exit 1
