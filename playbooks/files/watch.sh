#!/bin/sh
# watch.sh BOT SECONDS: ends well when BOT said that it is well all the time and was not started anew meanwhile. On a member where it stands by
# there is nothing to watch. Its last line is what an operator reads.
set -eu
bot=$1
seconds=$2
unit=bot-$bot.service
state() { systemctl show --property=NRestarts --value "$unit"; systemctl show --property=ActiveEnterTimestampMonotonic --value "$unit"; }
if ! systemctl is-active --quiet "$unit"; then
    if crm_mon --one-shot >/dev/null 2>&1; then
        echo "bot-$bot stands by here"
        exit 0
    fi
    echo "bot-$bot does not run"
    exit 1
fi
before=$(state)
end=$(($(date +%s) + seconds))
looks=0
while :; do
    if [ "$(state)" != "$before" ]; then
        echo "bot-$bot was started anew while it was watched; look at journalctl -u $unit"
        exit 1
    fi
    if ! said=$(/usr/local/lib/botops/bot-helper probe "$bot" 2>&1); then
        echo "bot-$bot is not well: $said"
        exit 1
    fi
    looks=$((looks + 1))
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 5
done
echo "bot-$bot said $looks times in $seconds s that it is well"
