#!/usr/bin/env bash
# Makes FOLDER/include: onnxruntime's headers from Debian's libonnxruntime-dev, which is not installed.
# Who has a release of onnxruntime has them already.
#
#     get-headers.sh FOLDER
set -euo pipefail

folder=$1
mkdir -p "$folder/include"
[ -e "$folder/include/onnxruntime_cxx_api.h" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
apt=(apt-get --quiet=2)
if ! apt-cache show libonnxruntime-dev >/dev/null 2>&1; then
    # Debian 12 has no such package: the one of Debian 13, whose headers do as well. Only these are
    # taken, and nothing is installed.
    . /etc/os-release
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        [ -e "$file" ] || continue
        sed "s/$VERSION_CODENAME/trixie/g" "$file" >"$work/next.${file##*.}"
        apt+=(-o "Dir::Etc::sourcelist=$work/next.${file##*.}")
    done
    apt+=(-o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache")
    "${apt[@]}" update
fi
(cd "$work" && "${apt[@]}" download libonnxruntime-dev 2>/dev/null)
dpkg-deb -x "$work"/libonnxruntime-dev_*.deb "$work/unpacked"
cp -r "$work"/unpacked/usr/include/onnxruntime/. "$folder/include/"
