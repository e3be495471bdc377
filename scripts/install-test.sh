#!/usr/bin/env bash
# Installs into an empty folder, checks every file and its mode, runs the installed programs, installs over a changed
# configuration, uninstalls, and checks what is left. The argument is the folder of the built programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

built=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
export DESTDIR=$root PREFIX=/opt/chat SYSCONFDIR=/etc

fail() {
    echo "install-test: $*" >&2
    exit 1
}

listing() {
    (cd "$root" && find . \( -type f -o -name credentials \) -printf '%m %P\n' | sort -k 2)
}

expect() {
    diff <(cat) <(listing) >&2 || fail "$1"
}

installed='644 etc/chatserver/chatserver.toml
700 etc/chatserver/credentials
755 opt/chat/bin/chatclient
755 opt/chat/bin/chatserver
644 opt/chat/lib/systemd/system/chatserver@.service
644 opt/chat/lib/systemd/system/chatserver.service
644 opt/chat/lib/systemd/system/chatserver.socket
644 opt/chat/share/doc/chatserver/chatclient.toml
644 opt/chat/share/doc/chatserver/chatserver.toml
644 opt/chat/share/doc/chatserver/nginx/chatserver.conf
644 opt/chat/share/doc/chatserver/nginx/web.conf
644 opt/chat/share/man/man1/chatclient.1
644 opt/chat/share/man/man8/chatserver.8'

# A strict umask must not hide the installed files from other users.
(umask 077 && scripts/install.sh install "$built" >/dev/null)
sort -k 2 <<<"$installed" | expect "the installed files or modes differ from the list"

"$root/opt/chat/bin/chatserver" --config "$root/etc/chatserver/chatserver.toml" --check-config >/dev/null ||
    fail "the installed server rejects the installed configuration"
"$root/opt/chat/bin/chatclient" --version >/dev/null || fail "the installed client does not run"
unit=$root/opt/chat/lib/systemd/system/chatserver.service
grep -q '^ExecStart=/opt/chat/bin/chatserver --config /etc/chatserver/chatserver.toml$' "$unit" ||
    fail "the unit does not start the installed server: $(grep ExecStart "$unit")"
! grep -rq /usr/local "$root/opt/chat/lib" || fail "a unit still contains /usr/local"

# A second installation keeps the configuration, and restores missing files.
echo '# mine' >>"$root/etc/chatserver/chatserver.toml"
rm "$root/opt/chat/bin/chatclient"
scripts/install.sh install "$built" >/dev/null
sort -k 2 <<<"$installed" | expect "a second installation left other files or modes"
tail -n 1 "$root/etc/chatserver/chatserver.toml" | grep -q mine || fail "the configuration was overwritten"

scripts/install.sh uninstall "$built" >/dev/null
printf '644 etc/chatserver/chatserver.toml\n700 etc/chatserver/credentials\n' | expect "uninstalling left other files than these"
[ ! -e "$root/opt/chat/share/doc/chatserver" ] || fail "the documentation folder is left"
# A planted symbolic link is replaced and not written through, and a directory that became readable is mended.
echo precious >"$root/victim"
mkdir -p "$root/opt/chat/lib/systemd/system" "$root/opt/chat/bin"
for name in chatserver.service chatserver.service.new chatserver.socket.new; do
    ln -s "$root/victim" "$root/opt/chat/lib/systemd/system/$name"
done
ln -s "$root/victim" "$root/opt/chat/bin/chatserver.new"
chmod 755 "$root/etc/chatserver/credentials"
(umask 022 && echo secret >"$root/etc/chatserver/credentials/mysql")
scripts/install.sh install "$built" | grep -q 'credentials: made readable by its owner only' ||
    fail "nobody is told that the credentials were readable"
[ "$(cat "$root/victim")" = precious ] || fail "the installation wrote through a symbolic link"
[ ! -L "$root/opt/chat/lib/systemd/system/chatserver.service" ] || fail "a unit is still a symbolic link"
[ "$(stat -c '%a' "$root/etc/chatserver/credentials" "$root/etc/chatserver/credentials/mysql" | tr '\n' ' ')" = '700 600 ' ] ||
    fail "the credentials are still readable by others"
mv "$root/etc/chatserver/credentials" "$root/elsewhere"
ln -s "$root/elsewhere" "$root/etc/chatserver/credentials"
if scripts/install.sh install "$built" >/dev/null 2>"$root/said"; then fail "a linked directory for credentials is taken"; fi
grep -q 'credentials is a symbolic link' "$root/said" || fail "the linked directory is not named: $(cat "$root/said")"
rm "$root/etc/chatserver/credentials"
mv "$root/elsewhere" "$root/etc/chatserver/credentials"
rm "$root/victim" "$root/said"
scripts/install.sh uninstall "$built" >/dev/null

# With systemd: a unit that cannot be disabled or stopped prevents neither the others' end nor the removal of files.
mkdir "$root/stubs"
cat >"$root/stubs/systemctl" <<'END'
#!/bin/sh
echo "$*" >>"$ASKED"
case $* in *.socket) echo "Unit chatserver.socket is masked." >&2; exit 1 ;; esac
END
printf '#!/bin/sh\necho 0\n' >"$root/stubs/id"
chmod 755 "$root/stubs/"*
(
    export DESTDIR='' PREFIX=$root/here SYSCONFDIR=$root/here/etc SYSTEMD=$root ASKED=$root/asked PATH=$root/stubs:$PATH
    scripts/install.sh install "$built" >/dev/null
    scripts/install.sh uninstall "$built" >/dev/null 2>&1
) || fail "a masked unit prevents uninstalling"
diff - "$root/asked" >&2 <<'END' || fail "other systemctl commands than these were run"
daemon-reload
disable chatserver.socket
disable chatserver.service
disable chatserver@.service
stop chatserver.socket
stop chatserver.service
stop chatserver@*.service
daemon-reload
END
[ ! -e "$root/here/bin/chatserver" ] || fail "the server is still installed"
echo "install-test: installed, ran, uninstalled"
