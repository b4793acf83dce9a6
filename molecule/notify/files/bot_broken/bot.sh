#!/bin/sh
echo "this release is broken, and knows $EXCHANGE"
exit 7
