"""Reads the card of a model with huggingface_hub and prints what it says to programs, as one JSON object.

Usage: read_card.py < {"card": "---\\nlicense: …"}
"""

import json
import sys

from huggingface_hub import ModelCard

card = ModelCard(json.load(sys.stdin)["card"])
again = ModelCard(str(card))
print(
    json.dumps(
        {
            "data": card.data.to_dict(),
            "again": again.data.to_dict(),
            "results": [
                {"dataset_type": result.dataset_type, "metric_value": result.metric_value}
                for result in card.data.eval_results or []
            ],
        }
    )
)
