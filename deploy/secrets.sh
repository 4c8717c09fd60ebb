#!/bin/sh
# Makes the secrets of compose.yaml that are missing, in the folder $1 (deploy/secrets); leaves those that are there alone.
set -eu
cd "$(dirname "$0")"
folder=${1:-secrets}
# The folder keeps others out; the files are readable, as containers see them under user ids of their own.
mkdir -p "$folder"
chmod 700 "$folder"
umask 022

random() {
    head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

make() {
    [ -e "$folder/$1" ] || { cat > "$folder/.$1" && mv "$folder/.$1" "$folder/$1"; }
}

random | make postgres_password
random | make grafana_password
printf 'postgresql+psycopg://conflictwire:%s@postgres:5432/conflictwire' "$(cat "$folder/postgres_password")" | make store_url
# The same user, who takes the role of a reader at once.
printf '%s?options=-c%%20role%%3Dconflictwire_reader' "$(cat "$folder/store_url")" | make reader_url
# Empty: no alert is sent. Put in the address that takes {"text": "..."}, such as a chat's incoming webhook.
printf '' | make alert_url
# Empty: put in the password of SMTP_USER, if alerts go out by e-mail.
printf '' | make smtp_password
