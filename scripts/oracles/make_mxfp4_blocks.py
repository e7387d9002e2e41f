#!/usr/bin/env python3
"""Write tests/fixtures/mxfp4/blocks.json: what transformers makes of blocks in MXFP4.

Usage, from the repository root: .venv/bin/python scripts/oracles/make_mxfp4_blocks.py

One row of 256 blocks, one for each scale, with all codes in the low halves of its bytes and again in the high ones;
`values` is base64 of the little-endian BF16 that transformers' own dequantisation gives, in the order of the row.
"""

import base64
import json
from pathlib import Path

import torch
import transformers
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "mxfp4" / "blocks.json"


def encoded(tensor):
    return base64.b64encode(tensor.contiguous().view(torch.uint8).numpy().tobytes()).decode()


def main():
    scales = torch.arange(256, dtype=torch.uint8)
    code = torch.arange(16)
    blocks = torch.stack([code + 16 * ((code + scale) % 16) for scale in range(256)]).to(torch.uint8)
    values = convert_moe_packed_tensors(blocks[None, None], scales[None, None])
    content = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "blocks": encoded(blocks),
        "scales": encoded(scales),
        "values": encoded(values.reshape(-1)),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
