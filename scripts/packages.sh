# packages.sh: what Debian 12 must have. Sourced by the other scripts.
BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libseccomp-dev libjansson-dev libbsd-dev
uthash-dev libcmocka-dev libcapstone-dev libxxhash-dev linux-libc-dev python3"
TEST_PACKAGES="clang clang-format clang-tidy libclang-rt-14-dev busybox-static bash coreutils findutils grep
sed gawk tar gzip bzip2 xz-utils zip unzip python3-venv python3-numpy python3-pandas libpython3.11-testsuite
perl nodejs npm git g++ make golang-go default-jdk-headless sqlite3 redis-server redis-tools postgresql tmux
vim-tiny less bc curl file diffutils patch procps dash bsdutils util-linux passwd"

# Installs the named packages that are missing. Needs root only when something is missing.
install_packages() {
    missing=""
    for package in "$@"; do
        if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed"; then
            missing="$missing $package"
        fi
    done
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages, run as root: apt-get install$missing" >&2
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || return 1
    # One package that this system cannot have (another version is in its place) must not stop the rest.
    apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 && return 0
    for package in $missing; do
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
            echo "cannot install $package" >&2
    done
    return 0
}
