"""The baseline of `npm run bench -- gpt2 bert`: the model of Python's transformers in PyTorch eager, without privacy.

Reads one JSON line on standard input, {"task": "causal-lm" | "sequence-classification", "config": {...}, "batch": B,
"length": T, "steps": k}, and prints {"secondsPerStep": [...], "peakRssMb": x}. Needs torch and transformers.
"""

import json
import resource
import sys
import time

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification


def main():
    job = json.loads(sys.stdin.readline())
    torch.manual_seed(0)
    config = AutoConfig.for_model(**job["config"])
    language = job["task"] == "causal-lm"
    model = (AutoModelForCausalLM if language else AutoModelForSequenceClassification).from_config(config).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    ids = torch.randint(2, config.vocab_size, (job["batch"], job["length"]))
    labels = ids if language else torch.arange(job["batch"]) % 2
    seconds = []
    for _ in range(job["steps"] + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The first step pays for allocations that no later step needs.
    print(json.dumps({"secondsPerStep": seconds[1:], "peakRssMb": peak}))


if __name__ == "__main__":
    main()
