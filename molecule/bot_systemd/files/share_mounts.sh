#!/bin/sh
# systemd makes the root mount shared on a machine and not in a container, and hands credentials over by way of that.
exec mount --make-rshared /
