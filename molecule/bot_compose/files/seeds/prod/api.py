"""Writes a row a second to PostgreSQL and says how many there are, and which release says so."""

import http.server
import json
import os
import sys
import threading
import time

import psycopg2

VERSION = "1.0.0"


def database(seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg2.connect(os.environ["DATABASE_URL"].replace("postgres://", "postgresql://"))
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def execute(sql):
    with database() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


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
    execute("CREATE TABLE IF NOT EXISTS prices (at timestamptz DEFAULT now())")
elif sys.argv[1:] == ["backup"]:
    there = execute("SELECT count(*) FROM pg_tables WHERE tablename = 'prices'")[0][0]
    rows = execute("SELECT count(*) FROM prices")[0][0] if there else 0
    with open("/var/backups/bot-prod/rows", "w") as copy:
        copy.write(str(rows))
else:
    threading.Thread(target=write, daemon=True).start()
    http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
