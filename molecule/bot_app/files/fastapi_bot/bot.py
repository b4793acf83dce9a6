"""Places an order twice a second, says when the last one was, and stops trading when it is told to, for as long as this process lives."""

import asyncio
import contextlib
import itertools
import json
import os
import time
import urllib.request

from fastapi import FastAPI

state = {"last_order": None, "trading": True}


def place(number):
    body = {"client_order_id": f"fastapi.{os.getpid()}.{number}", "market": "sleet"}
    headers = {"Content-Type": "application/json", "X-Host": os.uname().nodename}
    urllib.request.urlopen(urllib.request.Request(os.environ["EXCHANGE_URL"] + "/orders", json.dumps(body).encode(), headers), timeout=2).close()


async def trade():
    for number in itertools.count():
        if state["trading"]:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(place, number)
                state["last_order"] = time.time()
        await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def lifespan(_app):
    task = asyncio.create_task(trade())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health():
    return state


@app.post("/pause")
async def pause():
    state["trading"] = False
    return state
