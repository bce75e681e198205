"""The peers of the benchmark of training: XLM-R of transformers under torch.autocast, as its
documentation shows.

usage: peers.py step HIDDEN LAYERS VOCAB ROWS LENGTH STEPS     full rows, 15 % of the places predicted
       peers.py documents FILE TOKENIZER HIDDEN LAYERS ROWS LENGTH STEPS
                                                   documents padded to the longest of their batch

Prints a JSON object: useful tokens per second (the median of the steps), peak memory in bytes.
"""

import json
import random
import resource
import statistics
import sys
import time

import torch
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

torch.set_num_threads(2)
torch.manual_seed(1)
random.seed(1)
MASK, PAD, WARM = 3, 1, 2


def model(hidden, layers, vocab, length):
    config = XLMRobertaConfig(
        vocab_size=vocab, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=max(1, hidden // 64),
        intermediate_size=4 * hidden, max_position_embeddings=length + 2, type_vocab_size=1,
        attention_probs_dropout_prob=0.0,
    )
    made = XLMRobertaForMaskedLM(config).train()
    return made, torch.optim.AdamW(made.parameters(), lr=5e-4, fused=True)


def batch(rows):
    """Rows of ids, padded, with 15 % of their places masked and the answers."""
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), PAD)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    attention = ids.ne(PAD)
    chosen = (torch.rand(ids.shape) < 0.15) & attention
    labels = torch.where(chosen, ids, torch.tensor(-100))
    draw = torch.rand(ids.shape)
    shown = torch.where(chosen & (draw < 0.8), torch.tensor(MASK), ids)
    return shown, attention, labels


def run(made, optimizer, batches):
    speeds = []
    for rows in batches:
        began = time.perf_counter()
        ids, attention, labels = batch(rows)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = made(input_ids=ids, attention_mask=attention, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        speeds.append(sum(map(len, rows)) / (time.perf_counter() - began))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"tokens_per_second": statistics.median(speeds[WARM:]), "peak": peak, "loss": loss.item()}))


def step(hidden, layers, vocab, rows, length, steps):
    made, optimizer = model(hidden, layers, vocab, length)
    full = lambda: [[random.randrange(4, vocab) for _ in range(length)] for _ in range(rows)]
    run(made, optimizer, (full() for _ in range(steps + WARM)))


def documents(file, tokenizer, hidden, layers, rows, length, steps):
    from tokenizers import Tokenizer

    fast = Tokenizer.from_file(tokenizer)
    with open(file, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(20_000))]
    random.shuffle(texts)
    encoded = fast.encode_batch(texts[: rows * (steps + WARM)])
    ids = [e.ids[:length] for e in encoded]
    made, optimizer = model(hidden, layers, fast.get_vocab_size(), length)
    run(made, optimizer, (ids[i : i + rows] for i in range(0, len(ids), rows)))


what, *rest = sys.argv[1:]
if what == "step":
    step(*map(int, rest))
else:
    documents(*rest[:2], *map(int, rest[2:]))
