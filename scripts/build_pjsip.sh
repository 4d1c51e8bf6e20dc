#!/usr/bin/env bash
# Build the pinned pjproject and point .deps/pjsip at it:  scripts/build_pjsip.sh
#
# The result is static, position independent, on epoll, with the limits of ext/sip/config_site.h:
#   include/  lib/            headers and archives
#   compile-flags link-flags  what setup.py passes to the compiler and the linker
#   python/                   the SWIG binding `pjsua2`, used by the softphone only
# It is kept in ${XDG_CACHE_HOME:-~/.cache}/quickcall/pjsip-<hash of everything that shapes it>; with
# nothing changed this script only checks the link.
#
# PJPROJECT_SRC    a source tree or tarball to build instead of fetching one
# ENGINE_DEBUG     1: assertions on, symbols, .deps/pjsip-debug (release has assertions off: hostile
#                  packets must not abort the process)
# ENGINE_SANITIZE  list such as address,undefined: assertions on, .deps/pjsip-sanitize. pjproject itself
#                  gets `address` or `thread`; its own undefined behaviour is not ours to report.
# JOBS             parallel compilations (default 2)
# PYTHON           interpreter the binding is built for (default python3)
set -euo pipefail

readonly version=2.17
readonly commit=5a457451fa2712ba18e12b01738e8ff3af2b26fd
readonly root=$(cd "$(dirname "$0")/.." && pwd)
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/quickcall
readonly python=${PYTHON:-python3}
readonly config_site=$root/ext/sip/config_site.h

say() { printf 'build_pjsip: %s\n' "$*" >&2; }

variant='' optimise='-O2 -DNDEBUG'
if [ -n "${ENGINE_SANITIZE:-}" ]; then
    variant=-sanitize optimise='-O1 -g -fno-omit-frame-pointer'
    case ",$ENGINE_SANITIZE," in
    *,address,*) optimise+=' -fsanitize=address' ;;
    *,thread,*) optimise+=' -fsanitize=thread' ;;
    esac
elif [ "${ENGINE_DEBUG:-0}" = 1 ]; then
    variant=-debug optimise='-O1 -g'
fi
readonly variant optimise
# -w: upstream compiles with -Wall, and its warnings are not ours to fix.
readonly cflags="$optimise -fPIC -w"
readonly link=$root/.deps/pjsip$variant

# Whatever changes the result: the recipe, the limits, the source, the compiler, the Python headers.
build_key() {
    {
        cat "$0" "$root/scripts/fetch_pjsip.sh" "$config_site"
        echo "$version $commit $cflags"
        ${CC:-cc} --version | head -n 1
        "$python" -c 'import sys; print(sys.implementation.cache_tag)'
        if [ -d "${PJPROJECT_SRC:-}" ]; then
            find "$PJPROJECT_SRC" -type f \( -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.ma[k]*' \) \
                -exec sha256sum {} + | cut -d' ' -f1 | sort
        elif [ -n "${PJPROJECT_SRC:-}" ]; then
            sha256sum <"$PJPROJECT_SRC"
        fi
    } | sha256sum | cut -c1-16
}

fetch() {
    if [ -d "${PJPROJECT_SRC:-}" ]; then
        cp -a "$PJPROJECT_SRC/." "$1"
    elif [ -n "${PJPROJECT_SRC:-}" ]; then
        mkdir -p "$1" && tar -xf "$PJPROJECT_SRC" -C "$1" --strip-components=1
    else
        bash "$root/scripts/fetch_pjsip.sh" "$version" "$commit" "$cache/source" "$1"
    fi
    cp "$config_site" "$1/pjlib/include/pj/config_site.h"
    # Debian's component leaves this file out; it is empty unless its device is compiled in.
    [ -e "$1/pjmedia/src/pjmedia-audiodev/bdimad_dev.c" ] || : >"$1/pjmedia/src/pjmedia-audiodev/bdimad_dev.c"
}

# Third-party code comes from Debian (srtp, the codecs, speexdsp's resampler) or is left out.
configure() {
    ./aconfigure --prefix=/ --enable-epoll --with-external-srtp --enable-speex-resample \
        --disable-sound --disable-video --disable-upnp --disable-sdl --disable-ffmpeg --disable-v4l2 \
        --disable-openh264 --disable-vpx --disable-libyuv --disable-libwebrtc --disable-speex-aec \
        --with-external-speex --with-external-gsm --disable-ilbc-codec --disable-l16-codec \
        --disable-g7221-codec --disable-silk --disable-lyra \
        CFLAGS="$cflags" CXXFLAGS="$cflags"
    # configure carries on without what it does not find; a build without TLS must not pass for one with.
    local need
    for need in 'PJ_HAS_SSL_SOCK 1' 'PJ_IOQUEUE_IMP PJ_IOQUEUE_IMP_EPOLL'; do
        grep -q "define $need" pjlib/include/pj/compat/os_auto.h ||
            { say "configure did not find what '$need' needs (see scripts/debian-packages.txt)"; return 1; }
    done
    for need in OPUS_CODEC:libopus-dev OPENCORE_AMRNB_CODEC:libopencore-amrnb-dev BCG729:libbcg729-dev \
        OPENCORE_AMRWB_CODEC:libopencore-amrwb-dev,libvo-amrwbenc-dev; do
        grep -q "define PJMEDIA_HAS_${need%:*} 1" pjmedia/include/pjmedia-codec/config_auto.h ||
            { say "configure did not find what ${need%:*} needs (package ${need#*:})"; return 1; }
    done
}

# write_flags TREE OUT: one flag a line, without paths: the directory moves after the build.
write_flags() {
    printf 'include %s/build.mak\nflags:;@printf "%%s\\n" $(PJ_LDXXLIBS)\ncflags:;@printf "%%s\\n" %s\n' \
        "$1" '$(PJ_INSTALL_CFLAGS)' >"$1/flags.mak"
    {
        make -s -f "$1/flags.mak" flags | grep -v -e '^-lstdc++$'
        echo -lspeexdsp
    } >"$2/link-flags"
    make -s -f "$1/flags.mak" cflags | grep '^-D' >"$2/compile-flags"
    [ -n "$variant" ] || echo -DNDEBUG >>"$2/compile-flags"
}

# The binding of the same tree and the same limits. Sanitized code needs a sanitized interpreter, so
# only the release has it.
build_binding() {
    local tree=$1 out=$2 swig=$1/pjsip-apps/src/swig
    [ -z "$variant" ] || return 0
    mkdir -p "$out/python"
    swig -I"$out/include" -w312 -threads -c++ -python -outdir "$out/python" -o "$tree/pjsua2_wrap.cpp" \
        "$swig/pjsua2.i"
    mapfile -t compile <"$out/compile-flags"
    mapfile -t libraries <"$out/link-flags"
    ${CXX:-c++} -O1 -fPIC -w -shared "${compile[@]}" -I"$out/include" \
        -I"$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
        "$tree/pjsua2_wrap.cpp" -o "$out/python/_pjsua2.so" -L"$out/lib" "${libraries[@]}"
}

build() {
    local work=$1 jobs=${JOBS:-2}
    fetch "$work/tree"
    say "compiling pjproject $version$variant (log: $work.log)"
    (
        cd "$work/tree"
        configure
        # `lib`: the applications and tests of the tree are not used.
        make -j"$jobs" lib
        make install DESTDIR="$work/out"
        rm -r "$work/out/lib/pkgconfig"
        write_flags "$PWD" "$work/out"
        build_binding "$PWD" "$work/out"
    ) >"$work.log" 2>&1 || { tail -n 30 "$work.log" >&2; say "failed; the whole log is $work.log"; return 1; }
}

main() {
    local key result
    key=$(build_key)
    result=$cache/pjsip$variant-$key
    mkdir -p "$cache" "$root/.deps"
    if [ ! -d "$result" ]; then
        exec 9>"$cache/lock"
        flock 9
    fi
    if [ ! -d "$result" ]; then
        work=$cache/building-$key
        rm -rf "$work" && mkdir -p "$work"
        build "$work"
        mv "$work/out" "$result"
        rm -rf "$work" "$work.log"
        say "built $result"
    fi
    [ "$(readlink "$link" || true)" = "$result" ] || ln -sfn "$result" "$link"
}

main
