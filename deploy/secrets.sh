#!/bin/sh
# Writes the random passwords that docker-compose.yml hands to its containers as files; never overwrites one.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
chmod 700 secrets # closed to other users of the machine; the files are open because the containers' users read them
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n' | grep -E '^[0-9a-f]{48}$'; }
# Beside and renamed: whoever stops this halfway leaves no half a password behind, and the next run goes on.
write() {
  printf '%s' "$2" >"secrets/.$1"
  chmod 0444 "secrets/.$1"
  mv "secrets/.$1" "secrets/$1"
}
if [ ! -s secrets/postgres-password ]; then
  password=$(random)
  write postgres-password "$password"
fi
if [ ! -s secrets/database-url ]; then
  password=$(random)
  write database-url "postgresql://yuanshe_app:$password@postgres:5432/yuanshe"
fi
if [ ! -s secrets/owner-database-url ]; then
  write owner-database-url "postgresql://yuanshe_owner:$(cat secrets/postgres-password)@postgres:5432/yuanshe"
fi
chmod 0444 secrets/*
