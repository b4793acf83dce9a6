"""Writes a row a second to PostgreSQL or SQLite, as DATABASE_URL says, and tells how many there are, and which release tells it."""

import http.server
import json
import os
import sqlite3
import sys
import threading
import time

import psycopg2

VERSION = "1.0.0"
URL = os.environ["DATABASE_URL"]


def database(seconds=30):
    if URL.startswith("sqlite://"):
        return sqlite3.connect(URL[len("sqlite://"):], timeout=seconds)
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg2.connect(URL.replace("postgres://", "postgresql://"))
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def execute(sql):
    connection = database()
    try:
        with connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def write():
    while True:
        execute("INSERT INTO prices DEFAULT VALUES")
        time.sleep(1)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        rows = execute("SELECT count(*) FROM prices")[0][0]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"version": VERSION, "rows": rows, "jwt": len(os.environ["JWT_SECRET"])}).encode())

    def log_message(self, *_):
        pass


if sys.argv[1:] == ["migrate"]:
    execute("CREATE TABLE IF NOT EXISTS prices (at timestamp DEFAULT CURRENT_TIMESTAMP)")
elif sys.argv[1:] == ["backup"]:
    there = execute("SELECT count(*) FROM pg_tables WHERE tablename = 'prices'")[0][0]
    rows = execute("SELECT count(*) FROM prices")[0][0] if there else 0
    with open("/var/backups/bot-prod/rows", "w") as copy:
        copy.write(str(rows))
else:
    threading.Thread(target=write, daemon=True).start()
    http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
