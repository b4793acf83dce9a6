#!/bin/sh
# What is left of any bot: with "all", also its data and its account.
systemctl list-units --all --no-legend 'bot-*' | grep -v not-found
ls -d /etc/bot-* /opt/bot-* /etc/systemd/system/bot-* /srv/bot-* /etc/logrotate.d/bot-* /var/lib/botops/bot_app/* 2>/dev/null
ss -Hltn 'sport >= :8080 and sport <= :9001'
if command -v docker >/dev/null; then
    docker ps --all --quiet
    docker image ls --quiet 'bot-*/*'
    docker volume ls --quiet
fi
if [ "${1:-}" = all ]; then
    ls -d /var/lib/bot-* /var/log/bot-* /var/backups/bot-* 2>/dev/null
    getent passwd | grep '^bot-'
fi
exit 0
