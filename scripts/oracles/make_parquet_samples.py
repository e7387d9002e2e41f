"""Writes tests/fixtures/parquet: the same samples with every compression that data sets come with, and files that are
no calibration text; `lines` is as the hub has WikiText.

Usage: python scripts/oracles/make_parquet_samples.py     (needs pyarrow 26.0.1)
"""
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

out = pathlib.Path(__file__).parents[2] / "tests/fixtures/parquet"
out.mkdir(parents=True, exist_ok=True)
samples = ["one", "two\nlines", "", None, "Ünïcödé — 漢字 🙂", *[f"sample {i} " * 5 for i in range(40)]]
table = pa.table({"id": list(range(len(samples))), "text": samples, "label": [0.5] * len(samples)})
for compression in ("none", "snappy", "gzip", "zstd", "brotli"):
    pq.write_table(table, out / f"{compression}.parquet", compression=compression, row_group_size=16)
lines = ["", " = Title = \n", "", *[f" The {i}th day was like the day before . \n" for i in range(20)]]
pq.write_table(pa.table({"text": lines}), out / "lines.parquet")
pq.write_table(pa.table({"body": ["a"], "id": [1]}), out / "no_column.parquet")
pq.write_table(pa.table({"text": [1, 2]}), out / "numbers.parquet")
(out / "expected.json").write_text(
    json.dumps({"pyarrow": pa.__version__, "samples": [s for s in samples if s]}, indent=1) + "\n"
)
