"""The benchmark's baseline: the same model in PyTorch eager, without privacy, as its users write it.

Reads one JSON line on standard input, {"lengths": [...], "items": M, "maxLength": L, "dim": d, "blocks": n,
"heads": h, "physical": samples, "steps": k, "head": "padded" | "valid"}, and prints {"secondsPerStep": [...], "peakRssMb": x}.
Without heads it is the recommender, padded on the left to maxLength (SASRec); "valid" runs its softmax head on real
positions only. With heads it is a GPT: pre-norm, GELU, full rows.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def attend(self, x):
        heads = max(1, self.heads)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))

    def forward(self, x):
        if self.heads > 0:
            x = x + self.attend(self.norm1(x))
            return x + self.down(F.gelu(self.up(self.norm2(x))))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.down(F.relu(self.up(x))))


class Model(nn.Module):
    def __init__(self, items, length, dim, blocks, heads):
        super().__init__()
        self.items = nn.Embedding(items + 1, dim, padding_idx=None if heads > 0 else 0)
        self.positions = nn.Embedding(length, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(blocks))
        self.last = nn.LayerNorm(dim) if heads > 0 else nn.Identity()
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        x = self.items(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.last(x)


def main():
    job = json.loads(sys.stdin.readline())
    length, lengths = job["maxLength"], torch.tensor(job["lengths"])
    torch.manual_seed(0)
    model = Model(job["items"], length, job["dim"], job["blocks"], job["heads"])
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
