#!/usr/bin/python3
"""A hundred rows a second, each with its time, and a file now and then."""

import os
import sqlite3
import time

connection = sqlite3.connect("/var/lib/bot-paper/trades.db", isolation_level=None, timeout=5)
connection.execute("pragma journal_mode=wal")
connection.execute("create table if not exists orders(id integer primary key, host text, at real)")
print("writing", flush=True)
host = os.uname().nodename
while True:
    connection.execute("insert into orders(host, at) values(?, ?)", (host, time.time()))
    time.sleep(0.01)
