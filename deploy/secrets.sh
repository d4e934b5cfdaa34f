#!/bin/sh
# Writes the random passwords that docker-compose.yml hands to its containers as files; never overwrites one.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets # closed to other users of the machine; the files are open because the containers' users read them
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
[ -e secrets/postgres-password ] || random >secrets/postgres-password
[ -e secrets/database-url ] || printf 'postgresql://yuanshe_app:%s@postgres:5432/yuanshe' "$(random)" >secrets/database-url
[ -e secrets/owner-database-url ] ||
  printf 'postgresql://yuanshe_owner:%s@postgres:5432/yuanshe' "$(cat secrets/postgres-password)" >secrets/owner-database-url
chmod 0444 secrets/*
