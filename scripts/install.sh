#!/usr/bin/env bash
# Installs the programs, the systemd units, the manual pages, the nginx example and, if there is none yet, the configuration;
# or stops the server and removes all of that except for configuration and data. Called by `make install` and `make uninstall`.
#
#     scripts/install.sh install|uninstall BUILT
#
# BUILT is the directory of the built programs. Environment: PREFIX (/usr/local), SYSCONFDIR (/etc), and for packages DESTDIR,
# a directory that stands for the root of the file system.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PREFIX=${PREFIX:-/usr/local}
SYSCONFDIR=${SYSCONFDIR:-/etc}
DESTDIR=${DESTDIR:-}
built=$2
# Exists if systemd runs. Tests set another directory.
SYSTEMD=${SYSTEMD:-/run/systemd/system}

# systemd finds units below /usr/lib and /usr/local/lib.
units=$PREFIX/lib/systemd/system
documents=$PREFIX/share/doc/chatserver
configuration=$SYSCONFDIR/chatserver

# Calls "$1" with the mode, source and destination of each file that an installation replaces and a removal deletes.
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
    "$1" 644 conf/nginx/web.conf "$documents/nginx/web.conf"
    # Documents every key, also beside a configuration that was changed.
    "$1" 644 conf/chatserver.toml "$documents/chatserver.toml"
    "$1" 644 conf/chatclient.toml "$documents/chatclient.toml"
}

put() {
    local mode=$1 source=$2 place=$DESTDIR$3 new
    mkdir -p "$(dirname "$place")"
    # A new file under a name that nobody can foresee, so that nobody can have put a symbolic link there.
    new=$(mktemp "$place.XXXXXXXXXX")
    case $source in
        # The units must name the program and the configuration at their installed paths.
        conf/systemd/*) sed "s|/usr/local/bin/|$PREFIX/bin/|; s|/etc/chatserver|$configuration|g" "$source" >"$new" ;;
        *) cat "$source" >"$new" ;;
    esac
    chmod "$mode" "$new"
    # Renaming is atomic: a running program keeps its file, and no one sees a partial one. It replaces a symbolic link.
    mv -fT "$new" "$place"
    echo "$place"
}

# Ends the installation if a directory that is this package's alone is a symbolic link: files would land elsewhere.
refuse_links() {
    local folder
    for folder in "$@"; do
        if [ -L "$DESTDIR$folder" ]; then
            echo "install: $DESTDIR$folder is a symbolic link: remove it, or put a directory there" >&2
            exit 1
        fi
    done
}

# Makes the directory for secrets, or takes everybody else's rights to what is there.
put_credentials() {
    local place=$DESTDIR$1
    [ -d "$place" ] || mkdir -m 700 "$place"
    if [ "$(stat -c %a "$place")" != 700 ]; then
        chmod 700 "$place"
        echo "$place: made readable by its owner only; change the secrets in it if other users may have read them"
    fi
    find "$place" -type f -perm /077 -exec chmod go= {} +
}

take() {
    rm -f "$DESTDIR$3"
}

# Whether the installation is for the running systemd.
is_for_here() {
    [ -z "$DESTDIR" ] && [ -d "$SYSTEMD" ] && [ "$(id -u)" -eq 0 ]
}

reload_systemd() {
    if is_for_here; then
        systemctl daemon-reload
    fi
}

# Stops and disables the units before they are removed, because systemctl could not do it afterwards.
end_units() {
    if is_for_here && [ -e "$units/chatserver.service" ]; then
        local unit
        # One by one, so that a masked or missing unit does not keep the others from being stopped.
        for unit in chatserver.socket chatserver.service chatserver@.service; do
            systemctl disable "$unit" || true
        done
        # The socket first, because it would start the server again.
        for unit in chatserver.socket chatserver.service 'chatserver@*.service'; do
            systemctl stop "$unit" || true
        done
    fi
}

case $1 in
    install)
        umask 022
        refuse_links "$configuration" "$configuration/credentials" "$documents" "$documents/nginx"
        each_file put
        if [ ! -e "$DESTDIR$configuration/chatserver.toml" ] && [ ! -L "$DESTDIR$configuration/chatserver.toml" ]; then
            put 644 conf/chatserver.toml "$configuration/chatserver.toml"
        fi
        # Readable by root only. The units pass the files in it to the server.
        put_credentials "$configuration/credentials"
        reload_systemd
        ;;
    uninstall)
        end_units
        each_file take
        # Directories that belong to this package alone.
        rmdir "$DESTDIR$documents/nginx" "$DESTDIR$documents" 2>/dev/null || true
        reload_systemd
        if [ -d "$DESTDIR$configuration" ]; then
            echo "kept: $DESTDIR$configuration, and the data (under systemd in /var/lib/chatserver)"
        fi
        ;;
    *)
        echo "usage: scripts/install.sh install|uninstall BUILT" >&2
        exit 2
        ;;
esac
