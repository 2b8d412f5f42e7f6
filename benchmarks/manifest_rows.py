"""Memory and speed of manifests that stay in their files.

    python benchmarks/manifest_rows.py 10000 1000000 10000000 [--parquet] [--where CONDITION]

Each size runs in a process of its own; the last line of each is JSON: seconds to index, rows a
second, memory beyond the start's in MB and per row, and milliseconds for a row at random.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import tempfile
import time
from pathlib import Path


def write_rows(path: Path, count: int) -> None:
    """Synthetic rows of about 200 bytes, half of them English."""
    rng = random.Random(0)

    def rows(start: int, stop: int) -> list[dict[str, object]]:
        return [
            {
                "audio": f"shard-{i // 1000:05d}/{i:09d}.flac", "seconds": rng.uniform(1, 15),
                "text": "what is said in this recording, in some words", "split": "train",
                "language": "en" if i % 2 else "zh", "speaker": f"s{i % 5000}",
                "dnsmos": rng.uniform(2, 4), "hours": rng.uniform(0, 3),
            }
            for i in range(start, stop)
        ]  # fmt: skip

    step = 10_000
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        writer = None
        for start in range(0, count, step):
            table = pa.Table.from_pylist(rows(start, min(count, start + step)))
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
        return
    with path.open("w") as file:
        for start in range(0, count, step):
            file.writelines(json.dumps(r) + "\n" for r in rows(start, min(count, start + step)))


def measure(path: str, where: str | None) -> None:
    """Read a manifest, ask for rows at random, print one line of JSON."""
    from mingtok_audio.training.manifests import Source, read_source

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, busy = time.perf_counter(), time.process_time()
    found = read_source(Source(path, where=where))
    indexed, busy = time.perf_counter() - start, time.process_time() - busy
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rng = random.Random(1)
    start = time.perf_counter()
    for _ in range(300):
        _ = found[rng.randrange(len(found))]
    each = (time.perf_counter() - start) / 300
    print(
        json.dumps(
            {
                "rows": len(found),
                "index_seconds": round(indexed, 2),
                "index_cpu_seconds": round(busy, 2),
                "rows_a_cpu_second": round(len(found) / busy),
                "memory_mb": round(after - before, 1),
                "bytes_a_row": round((after - before) * 2**20 / max(1, len(found)), 1),
                "random_row_ms": round(1000 * each, 3),
            }
        ),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory and speed of manifests.")
    parser.add_argument("rows", type=int, nargs="+")
    parser.add_argument("--parquet", action="store_true")
    parser.add_argument("--where")
    options = parser.parse_args()
    for count in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("m.parquet" if options.parquet else "m.jsonl")
            write_rows(path, count)
            process = multiprocessing.get_context("spawn").Process(
                target=measure, args=(str(path), options.where)
            )
            process.start()
            process.join()


if __name__ == "__main__":
    main()
