"""What `npm run bench -- gpt2 bert` shows of Opacus: private steps of the model of Python's transformers in PyTorch eager.

Reads one JSON line on standard input: the job of families.py with "sample": "hooks" (stores a gradient for every sample) or "ghost"
(two backward passes), and "untied": true for a model whose head has a table of its own. Prints {"secondsPerStep": [...],
"peakRssMb": x}, or {"refused": "why"} where Opacus does not train such a model. Needs torch, transformers and opacus with what it needs.
"""

import json
import resource
import sys
import time

import torch
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.pytorch_utils import Conv1D


def known_layers(model):
    """Linear layers in the place of Conv1D, which Opacus has no rule for and would give to its slower general one."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv1D):
                linear = torch.nn.Linear(child.nx, child.nf)
                linear.weight.data, linear.bias.data = child.weight.data.t().contiguous(), child.bias.data
                setattr(module, name, linear)
    return model


def main():
    job = json.loads(sys.stdin.readline())
    torch.manual_seed(0)
    tied = {"tie_word_embeddings": False} if job.get("untied") else {}
    config = AutoConfig.for_model(**{**job["config"], **tied})
    language, batch, length = job["task"] == "causal-lm", job["batch"], job["length"]
    model = (AutoModelForCausalLM if language else AutoModelForSequenceClassification).from_config(config)
    model = known_layers(model).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    ghost = job["sample"] == "ghost"
    noise = dict(noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=batch)
    if ghost:
        wrapped = GradSampleModuleFastGradientClipping(model, max_grad_norm=1.0, strict=False)
        optimizer = DPOptimizerFastGradientClipping(optimizer, **noise)
    else:
        wrapped = GradSampleModule(model, strict=False)
        optimizer = DPOptimizer(optimizer, **noise)
    ids = torch.randint(2, config.vocab_size, (batch, length))
    labels = ids if language else torch.arange(batch) % 2
    # Of a table of positions, too, Opacus must see which rows belong to which sample.
    places = {"position_ids": torch.arange(length).repeat(batch, 1)} if config.model_type == "gpt2" else {}
    seconds = []
    for _ in range(job["steps"] + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        logits = wrapped(input_ids=ids, **places).logits
        if language:
            losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none").mean(1)
        else:
            losses = F.cross_entropy(logits, labels, reduction="none")
        if ghost:
            DPTensorFastGradientClipping(wrapped, optimizer, losses).backward()
        else:
            losses.mean().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The first step pays for allocations that no later step needs.
    print(json.dumps({"secondsPerStep": seconds[1:], "peakRssMb": peak}))


if __name__ == "__main__":
    try:
        main()
    except NotImplementedError as error:
        print(json.dumps({"refused": str(error)}))
