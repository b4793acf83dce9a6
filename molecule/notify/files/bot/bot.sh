#!/bin/sh
# An order a second, and a sign of life.
n=0
while :; do
    n=$((n + 1))
    echo "order $n with $EXCHANGE"
    date +%s > state/beat
    sleep 1
done
