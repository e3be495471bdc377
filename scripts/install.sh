#!/usr/bin/env bash
# Installs the programs, the systemd units, the manual pages, the nginx example and, where there is none yet, the configuration;
# or ends and takes away what was installed and leaves configuration and data. `make install` and `make uninstall` call it.
#
#     scripts/install.sh install|uninstall BUILT
#
# BUILT is the folder of the built programs. From the environment: PREFIX (/usr/local), SYSCONFDIR (/etc), and DESTDIR, a
# folder that stands for the root of a file system, for packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PREFIX=${PREFIX:-/usr/local}
SYSCONFDIR=${SYSCONFDIR:-/etc}
DESTDIR=${DESTDIR:-}
built=$2
# It is there where systemd runs; a test names another folder.
SYSTEMD=${SYSTEMD:-/run/systemd/system}

# systemd looks for units in the lib of /usr and of /usr/local.
units=$PREFIX/lib/systemd/system
documents=$PREFIX/share/doc/chatserver
configuration=$SYSCONFDIR/chatserver

# Calls "$1" with mode, source and place of each file that is replaced by an installation and taken away again.
each_file() {
    local file
    for file in chatserver chatclient; do
        "$1" 755 "$built/$file" "$PREFIX/bin/$file"
    done
    for file in chatserver.service chatserver@.service chatserver.socket; do
        "$1" 644 "conf/systemd/$file" "$units/$file"
    done
    "$1" 644 man/chatserver.8 "$PREFIX/share/man/man8/chatserver.8"
    "$1" 644 man/chatclient.1 "$PREFIX/share/man/man1/chatclient.1"
    "$1" 644 conf/nginx/chatserver.conf "$documents/nginx/chatserver.conf"
    # Every key at its default, also beside a configuration that was changed.
    "$1" 644 conf/chatserver.toml "$documents/chatserver.toml"
}

put() {
    local mode=$1 source=$2 place=$DESTDIR$3
    mkdir -p "$(dirname "$place")"
    case $source in
        conf/systemd/*)
            # The units name the program and the configuration where these are.
            sed "s|/usr/local/bin/|$PREFIX/bin/|; s|/etc/chatserver|$configuration|g" "$source" >"$place.new"
            chmod "$mode" "$place.new"
            ;;
        *) install -m "$mode" "$source" "$place.new" ;;
    esac
    # In one step: a program that runs keeps its file, and nobody ever sees half of one.
    mv -f "$place.new" "$place"
    echo "$place"
}

take() {
    rm -f "$DESTDIR$3"
}

# Whether the installation is for the systemd that runs here.
is_for_here() {
    [ -z "$DESTDIR" ] && [ -d "$SYSTEMD" ] && [ "$(id -u)" -eq 0 ]
}

reload_systemd() {
    if is_for_here; then
        systemctl daemon-reload
    fi
}

# Ends what runs, and that it starts at boot: without its unit nobody could any more.
end_units() {
    if is_for_here && [ -e "$units/chatserver.service" ]; then
        local unit
        # Each by itself: one that is masked or not there says so, and keeps no other from its end.
        for unit in chatserver.socket chatserver.service chatserver@.service; do
            systemctl disable "$unit" || true
        done
        # The socket first, which would start the server again.
        for unit in chatserver.socket chatserver.service 'chatserver@*.service'; do
            systemctl stop "$unit" || true
        done
    fi
}

case $1 in
    install)
        umask 022
        each_file put
        if [ ! -e "$DESTDIR$configuration/chatserver.toml" ]; then
            mkdir -p "$DESTDIR$configuration"
            install -m 644 conf/chatserver.toml "$DESTDIR$configuration/chatserver.toml"
            echo "$DESTDIR$configuration/chatserver.toml"
        fi
        # What is in here, only root may read; units hand it to the server.
        [ -d "$DESTDIR$configuration/credentials" ] || install -d -m 700 "$DESTDIR$configuration/credentials"
        reload_systemd
        ;;
    uninstall)
        end_units
        each_file take
        # Folders that are ours alone.
        rmdir "$DESTDIR$documents/nginx" "$DESTDIR$documents" 2>/dev/null || true
        reload_systemd
        if [ -d "$DESTDIR$configuration" ]; then
            echo "left as it is: $DESTDIR$configuration; so is the data, in /var/lib/chatserver under systemd"
        fi
        ;;
    *)
        echo "usage: scripts/install.sh install|uninstall BUILT" >&2
        exit 2
        ;;
esac
