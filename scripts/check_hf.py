"""Holds a checkpoint of hexapla against transformers: names, shapes, logits.

usage: check_hf.py CHECKPOINT LOGITS

CHECKPOINT is a `step-N` folder, LOGITS the safetensors file that hexapla wrote for it
(`input_ids`, `position_ids`, `documents`, `logits`). Three things are checked:

1. AutoModelForMaskedLM loads the folder with nothing missing, unexpected or mismatched;
2. rows with one document give the same logits from input ids and an attention mask alone,
   so our explicit positions are those that transformers counts;
3. every document of a packed row gives the same logits when transformers sees it alone,
   so packing neither leaks nor shifts positions.
"""

import sys

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

TOLERANCE = 1e-4


def main(folder, logits):
    config = AutoConfig.from_pretrained(folder)
    model, info = AutoModelForMaskedLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    model.eval()
    faults = [f"{what}: {sorted(map(str, names))}" for what, names in info.items() if names]
    probe = load_file(logits)
    ids, documents, ours = probe["input_ids"], probe["documents"], probe["logits"]
    single, packed = 0.0, 0.0
    for row in range(len(ids)):
        count = int(documents[row].max()) + 1
        real = documents[row] >= 0
        with torch.no_grad():
            if count == 1:
                mask = (ids[row] != config.pad_token_id).long()
                theirs = model(ids[row][None], attention_mask=mask[None]).logits[0]
                single = max(single, (theirs - ours[row])[real].abs().max().item())
                continue
            for document in range(count):
                place = documents[row] == document
                theirs = model(ids[row][place][None]).logits[0]
                packed = max(packed, (theirs - ours[row][place]).abs().max().item())
    spread = ours.std().item()
    for what, difference in (("padded", single), ("packed", packed)):
        print(f"{what}: largest difference {difference:.2e} (logits spread {spread:.2f})")
        if not difference < TOLERANCE:
            faults.append(f"{what}: {difference} is not below {TOLERANCE}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != config.pad_token_id:
        faults.append(f"padding is {tokenizer.pad_token_id} in the tokenizer, {config.pad_token_id} in the model")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    print("ok" if not faults else "failed")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
