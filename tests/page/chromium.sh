#!/bin/sh
# Debian's headless Chromium with all that this machine lacks for it, unpacked into a folder and not installed (a minute, 320 MB):
#   tests/page/chromium.sh .cache
# leaves .cache/bin/chromium, which starts it. Needs apt-get and dpkg-deb, but no root where apt's lists are there.
set -eu
cache=$(mkdir -p "$1/bin" && cd "$1" && pwd)
into=$cache/chromium
if found=$(command -v chromium-headless-shell || command -v chromium); then
	ln -sf "$found" "$cache/bin/chromium"
	exit
fi
rm -rf "$into" && mkdir -p "$into/debs"
cd "$into/debs"

missing() { apt-get install -s -qq --no-install-recommends chromium-headless-shell fonts-liberation | awk '/^Inst/ {print $2}'; }
# Lists may be missing, or name versions that the archive has no longer.
fetch() { names=$(missing) && [ -n "$names" ] && apt-get download -qq $names >/dev/null; }
fetch 2>/dev/null || { apt-get update -qq && fetch; }
for deb in *.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$into" --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/lib/chromium/locales'
done
cd "$cache"
rm -rf "$into/debs"

# With fonts of its own, which stand in the style sheet's list, pictures look the same wherever they are made.
cat >"$into/fonts.conf" <<XML
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<dir>$into/usr/share/fonts</dir><dir>/usr/share/fonts</dir><cachedir>$into/fonts</cachedir>
</fontconfig>
XML
cat >"$cache/bin/chromium" <<SH
#!/bin/sh
libraries=\$(echo $into/usr/lib/*-linux-gnu | tr ' ' :)
export LD_LIBRARY_PATH="\$libraries:\$libraries/pulseaudio\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" FONTCONFIG_FILE=$into/fonts.conf
exec $into/usr/lib/chromium/chromium-headless-shell "\$@"
SH
chmod +x "$cache/bin/chromium"
"$cache/bin/chromium" --version >&2 || { rm "$cache/bin/chromium"; exit 1; }
