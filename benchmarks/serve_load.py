"""How the server does under load: many clients that ask for speech, over and over.

    python benchmarks/serve_load.py                       # 1, 4, 16, 64 clients, 300 s each
    python benchmarks/serve_load.py --clients 1,8 --seconds 30
    python benchmarks/serve_load.py --clients 16 --seconds 30 --kill    # kill -9 of the worker
    python benchmarks/serve_load.py --leave 1000          # clients that go away in the middle

It starts a server of its own (`uniaudio serve`), and prints a line for each number of clients and
at the end one JSON line. First audio is the first byte of sound. A request is lost when it ends
with anything but its sound or a 429; with --kill, those of the worker that was killed are lost.
Where other programs use the machine, speech a second of the workers' own CPU time says more than
speech a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

TEXTS = (
    "Good morning.",
    "The train leaves at noon.",
    "Where is the station?",
    "Please close the window before you go.",
    "I will come tomorrow if the weather is good.",
    "She bought bread, milk and a bag of apples at the market by the river.",
    "It is late. We should go home. The last bus leaves at ten.",
)
RATE = 16000


@dataclass
class Load:
    """What was seen of some clients."""

    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    spoken: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)


class Server:
    """`uniaudio serve` on a free port."""

    def __init__(self, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "uniaudio_lm.cli", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit(f"the server did not start: {line}{self.process.stderr.read()}")
        self.url = found[0]
        # Read on: a full pipe would stop the server.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def wait(self) -> None:
        """Until a model is loaded."""
        limit = time.monotonic() + 120
        while httpx.get(f"{self.url}/ready").status_code != 200:
            if time.monotonic() > limit:
                raise SystemExit("the model was not loaded in two minutes")
            time.sleep(0.2)

    def workers(self) -> list[int]:
        """The processes that hold a model."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in task.read_text().split()]
        return [
            pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    def megabytes(self) -> float:
        """Resident memory of the server and its workers."""
        pages = 0
        for pid in [self.process.pid, *self.workers()]:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cpu_seconds(self) -> float:
        """That the workers have used."""
        ticks = 0
        for pid in self.workers():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def metrics(self) -> dict[str, float]:
        """Numbers of `/metrics`."""
        text = httpx.get(f"{self.url}/metrics").text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


async def ask(client: httpx.AsyncClient, number: int, load: Load, leave_after: int = 0) -> str:
    """One request; how it ended. `leave_after`: go away after this many pieces of sound."""
    body = {
        "model": "nano",
        "input": TEXTS[number % len(TEXTS)],
        "response_format": "pcm",
        "seed": number,
    }
    begun = time.perf_counter()
    samples, pieces, first = 0, 0, 0.0
    try:
        async with client.stream("POST", "/v1/audio/speech", json=body) as answer:
            if answer.status_code != 200:
                await answer.aread()
                if answer.status_code == 429:
                    await asyncio.sleep(float(answer.headers["Retry-After"]))
                return str(answer.status_code)
            async for data in answer.aiter_raw():
                first = first or time.perf_counter() - begun
                samples += len(data) // 2
                pieces += 1
                if pieces == leave_after:
                    return "left"
    except httpx.HTTPError as error:
        return type(error).__name__
    load.first.append(first)
    load.total.append(time.perf_counter() - begun)
    load.spoken += samples / RATE
    return "done"


async def run(url: str, clients: int, seconds: float, server: Server, kill: bool) -> dict[str, Any]:
    """Some clients, for a time."""
    load, memory = Load(), []
    cpu = server.cpu_seconds()
    begun = time.perf_counter()
    limits = httpx.Limits(max_connections=None)

    async def one(place: int, client: httpx.AsyncClient) -> None:
        number = place
        while time.perf_counter() - begun < seconds:
            load.ends[await ask(client, number, load)] += 1
            number += clients

    async def watch() -> None:
        killed = not kill
        while time.perf_counter() - begun < seconds:
            await asyncio.sleep(min(1.0, seconds / 4))
            memory.append(server.megabytes())
            if not killed and time.perf_counter() - begun > seconds / 2:
                killed = True
                os.kill(server.workers()[0], signal.SIGKILL)

    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(watch(), *(one(i, client) for i in range(clients)))
    wall = time.perf_counter() - begun
    kept = {"done", "429"}
    lost = sum(n for end, n in load.ends.items() if end not in kept)

    def parts(values: list[float]) -> dict[str, float]:
        if len(values) < 2:
            return {}
        cuts = statistics.quantiles(values, n=20, method="inclusive")
        return {"median": round(statistics.median(values), 3), "p95": round(cuts[18], 3)}

    return {
        "clients": clients,
        "seconds": round(wall, 1),
        "requests": sum(load.ends.values()),
        "done": load.ends["done"],
        "refused_429": load.ends["429"],
        "lost": lost,
        "ends": dict(load.ends),
        "first_audio_s": parts(load.first),
        "total_s": parts(load.total),
        "requests_per_s": round(load.ends["done"] / wall, 2),
        "speech_s_per_s": round(load.spoken / wall, 2),
        "speech_s_per_cpu_s": round(load.spoken / max(server.cpu_seconds() - cpu, 0.01), 2),
        "memory_mb": {
            "first": round(memory[0]),
            "last": round(memory[-1]),
            "most": round(max(memory)),
        },
    }


async def leave(url: str, count: int, server: Server) -> dict[str, Any]:
    """Clients that go away after the first piece of sound, fifty at a time."""
    load, before = Load(), server.metrics()
    gate = asyncio.Semaphore(50)

    async def one(number: int, client: httpx.AsyncClient) -> None:
        async with gate:
            load.ends[await ask(client, number, load, leave_after=1)] += 1

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await asyncio.gather(*(one(i, client) for i in range(count)))
    begun = time.perf_counter()
    while (after := server.metrics())["uniaudio_running"] and time.perf_counter() - begun < 30:
        await asyncio.sleep(0.05)
    key = 'uniaudio_requests_total{end="cancelled"}'
    return {
        "clients_that_left": count,
        "ends": dict(load.ends),
        "cancelled": after[key] - before[key],
        "running_after": after["uniaudio_running"],
        "seconds_until_idle": round(time.perf_counter() - begun, 2),
        "memory_mb": round(server.megabytes()),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="The server under load.")
    parser.add_argument("--clients", default="1,4,16,64")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kill", action="store_true", help="kill -9 of the worker in the middle")
    parser.add_argument("--leave", type=int, default=0, help="only clients that go away")
    parser.add_argument("--serve", default="", help="options of uniaudio serve")
    options = parser.parse_args()
    server = Server(options.serve.split())
    results: list[dict[str, Any]] = []
    try:
        server.wait()
        if options.leave:
            results.append(asyncio.run(leave(server.url, options.leave, server)))
        else:
            for clients in map(int, options.clients.split(",")):
                made = run(server.url, clients, options.seconds, server, options.kill)
                results.append(asyncio.run(made))
                print(results[-1], file=sys.stderr)
    finally:
        code = server.end()
    print(json.dumps({"results": results, "exit_code": code, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
