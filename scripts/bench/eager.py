"""The benchmark's baseline: the same recommender in PyTorch eager, without privacy, as its users write it.

Reads one JSON line on standard input, {"lengths": [...], "items": M, "maxLength": L, "dim": d, "blocks": n,
"physical": samples, "steps": k, "head": "padded" | "valid"}, and prints {"secondsPerStep": [...], "peakRssMb": x}.
Sequences are padded on the left to maxLength (SASRec); "valid" runs the softmax head on real positions only.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x):
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).squeeze(1)
        x = self.norm1(x + self.out(mixed))
        return self.norm2(x + self.down(F.relu(self.up(x))))


class Recommender(nn.Module):
    def __init__(self, items, length, dim, blocks):
        super().__init__()
        self.items = nn.Embedding(items + 1, dim, padding_idx=0)
        self.positions = nn.Embedding(length, dim)
        self.blocks = nn.ModuleList(Block(dim) for _ in range(blocks))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        x = self.items(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return x


def main():
    job = json.loads(sys.stdin.readline())
    length, lengths = job["maxLength"], torch.tensor(job["lengths"])
    torch.manual_seed(0)
    model = Recommender(job["items"], length, job["dim"], job["blocks"])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    ids = torch.randint(1, job["items"] + 1, (len(lengths), length))
    targets = torch.randint(1, job["items"] + 1, (len(lengths), length))
    real = torch.arange(length)[None, :] >= length - lengths[:, None]
    ids, targets = ids * real, targets * real
    seconds = []
    for _ in range(job["steps"]):
        start = time.perf_counter()
        optimizer.zero_grad()
        for first in range(0, len(lengths), job["physical"]):
            rows = slice(first, first + job["physical"])
            hidden, wanted = model(ids[rows]), targets[rows]
            if job["head"] == "valid":
                hidden, wanted = hidden[real[rows]], wanted[real[rows]]
            logits = hidden @ model.items.weight.T
            loss = F.cross_entropy(logits.flatten(0, -2), wanted.flatten(), ignore_index=0, reduction="sum")
            (loss / len(lengths)).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"secondsPerStep": seconds, "peakRssMb": peak, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
