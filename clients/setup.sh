#!/usr/bin/env bash
# Installs the Debian packages that the clients need and this machine lacks; elsewhere it says which.
set -euo pipefail

need=()
tool() { command -v "$1" >/dev/null || need+=("$2"); }
header() { [ -e "/usr/include/$1" ] || need+=("$2"); }

tool cc gcc
tool g++ g++
tool cmake cmake
tool cargo cargo
tool cargo-clippy rust-clippy
tool rustfmt rustfmt
tool go golang
tool gofmt golang
tool javac default-jdk-headless
tool mvn maven
tool node nodejs
tool npm npm
tool chromium chromium
header png.h libpng-dev
header jpeglib.h libjpeg-dev
header nlohmann/json.hpp nlohmann-json3-dev
header openssl/evp.h libssl-dev

[ ${#need[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "The clients need what Debian calls: ${need[*]}. Install them and run this again." >&2
    exit 4
fi
root=()
[ "$(id -u)" -eq 0 ] || root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update --quiet=2
"${root[@]}" apt-get install --quiet=2 --yes --no-install-recommends "${need[@]}" >/dev/null
