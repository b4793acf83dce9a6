#!/bin/sh
set -e
case $1 in
redis-server)
    if [ "$(id -u)" = 0 ]; then
        find . \! -user redis -exec chown redis '{}' +
        exec setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
    fi
    exec "$@" --protected-mode no
    ;;
postgres)
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$PGDATA"
        chmod 0700 "$PGDATA"
        exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$0" "$@"
    fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        echo "$POSTGRES_PASSWORD" > /tmp/password
        initdb --no-sync --username "$POSTGRES_USER" --pwfile /tmp/password --auth-host scram-sha-256 --auth-local trust >/dev/null
        echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
        echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres >/dev/null
    fi
    exec postgres -D "$PGDATA" -k /tmp -c 'listen_addresses=*'
    ;;
esac
exec "$@"
