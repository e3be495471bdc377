#!/usr/bin/env bash
# Installs the programs that the tests start private instances of (MariaDB, Redis, nginx with its stream module,
# Prometheus), curl, libfaketime and systemd-analyze. Installed programs are left alone; services of new packages are neither started nor enabled.
# kosoku, which drives a WebSocket server through the cases of Autobahn, comes from PyPI into target/kosoku.
#
# Installs as root, by `sudo -n`, or by `sudo` on a terminal; otherwise prints the command to run.
set -euo pipefail

# Servers are installed in folders that need not be in a user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

has_stream() {
    # Compiled in, or a module where distributions install it.
    local built
    built=$(nginx -V 2>&1)
    [[ $built =~ --with-stream( |$) ]] && return
    local folder
    for folder in /usr/lib/nginx /usr/lib64/nginx /usr/share/nginx /etc/nginx; do
        [ ! -e "$folder/modules/ngx_stream_module.so" ] || return 0
    done
    return 1
}

missing=()
# The core packages have no service. The client package has what mariadb-install-db calls.
if ! command -v mariadbd >/dev/null || ! command -v mariadb-install-db >/dev/null; then
    missing+=(mariadb-server-core)
fi
command -v my_print_defaults >/dev/null || missing+=(mariadb-client-core)
command -v redis-server >/dev/null || missing+=(redis-server)
if ! command -v nginx >/dev/null; then
    missing+=(nginx libnginx-mod-stream)
elif ! has_stream; then
    missing+=(libnginx-mod-stream)
fi
command -v prometheus >/dev/null && command -v promtool >/dev/null || missing+=(prometheus)
command -v curl >/dev/null || missing+=(curl)
# Preloaded, it turns the clock of a server.
command -v faketime >/dev/null || missing+=(faketime)
# systemd-analyze checks the units; nothing of systemd is started.
command -v systemd-analyze >/dev/null || missing+=(systemd)
kosoku=$(dirname "$0")/../target/kosoku
has_kosoku() { command -v kosoku >/dev/null || [ -x "$kosoku/bin/kosoku" ]; }
if ! has_kosoku && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3-venv)
fi

install_kosoku() {
    has_kosoku && return
    echo "installing for the tests: kosoku"
    python3 -m venv "$kosoku"
    "$kosoku/bin/pip" install --quiet --disable-pip-version-check kosoku==0.1.0
}

if [ ${#missing[@]} -eq 0 ]; then
    install_kosoku
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "The tests need mariadbd, redis-server, nginx with its stream module, prometheus, curl, libfaketime, systemd-analyze and Python 3 with venv. Install your system's packages of:" \
        "${missing[*]}" >&2
    exit 1
fi

# Run as root. Packages start their services unless /usr/sbin/policy-rc.d forbids it, and always enable them.
# shellcheck disable=SC2016  # expanded by the shell that root runs
install='
    set -eu
    echo "installing for the tests: $*"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap "rm -f $policy" EXIT
        printf "#!/bin/sh\nexit 101\n" >"$policy"
        chmod 755 "$policy"
    fi
    new=
    for service in redis-server nginx prometheus prometheus-node-exporter; do
        [ -e "/etc/init.d/$service" ] || new="$new $service"
    done
    export DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --no-install-recommends "$@" || {
        apt-get update
        apt-get install --yes --no-install-recommends "$@"
    }
    for service in $new; do
        [ ! -e "/etc/init.d/$service" ] || update-rc.d "$service" disable
    done
'

if [ "$(id -u)" -eq 0 ]; then
    sh -c "$install" sh "${missing[@]}"
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n sh -c "$install" sh "${missing[@]}"
elif command -v sudo >/dev/null && [ -t 0 ]; then
    sudo sh -c "$install" sh "${missing[@]}"
else
    echo "The tests need ${missing[*]}, which only root can install. Run:" >&2
    echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
install_kosoku
