#!/bin/sh
# Installs the Debian or Ubuntu packages that a napari window needs, when some are missing.
# Usage: tools/system_packages.sh PYTHON [browser]
# With "browser" also Chromium, which the tests open a report in; Ubuntu has it as a snap alone.
# SKIP_SYSTEM=1 leaves the system as it is.
set -eu

python=${1:-python3}
[ -z "${SKIP_SYSTEM:-}" ] || exit 0
[ "$(uname -s)" = Linux ] || exit 0

wanted="xvfb xauth fontconfig fonts-dejavu-core libglib2.0-0 libfontconfig1 libegl1 libgl1
libgl1-mesa-dri libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1
libxcb-image0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0"

if [ "${2:-}" = browser ] && grep -qx ID=debian /etc/os-release 2>/dev/null; then
    wanted="$wanted chromium"
fi

# Debian keeps what a virtual environment needs in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    wanted="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])') $wanted"
fi

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian or Ubuntu: if a window does not open, install your system's" \
        "packages for Xvfb, Mesa and Qt's xcb platform (Debian's names: $(echo $wanted))." >&2
    exit 0
fi

installed() {
    # Newer releases call some libraries NAMEt64.
    dpkg-query -W -f '${db:Status-Status}\n' "$1" "$1t64" 2>/dev/null | grep -qx installed
}

missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

install="apt-get install --yes --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    run=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run="sudo -n"
else
    echo "Some system packages are missing. Please run" >&2
    echo "    sudo apt-get update && sudo $install" >&2
    echo "and then make again (SKIP_SYSTEM=1 make … goes on without them)." >&2
    exit 1
fi

echo "Installing system packages:$missing"
$run apt-get update -q
$run env DEBIAN_FRONTEND=noninteractive $install -q
