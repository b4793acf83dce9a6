"""A bot that writes orders: writer.py DATABASE ORDERS_A_SECOND."""

import sqlite3
import sys
import time

connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, placed_at TEXT, note TEXT)")
begun, written = time.monotonic(), 0
while True:
    connection.execute("INSERT INTO orders (placed_at, note) VALUES (datetime('now'), hex(randomblob(20)))")
    written += 1
    time.sleep(max(0.0, written / float(sys.argv[2]) - (time.monotonic() - begun)))
