"""Holds models of hexapla against transformers: names, shapes, logits, gradients.

usage: check_hf.py make DIR                  made-up Hugging Face folders, one for each kind of model
       check_hf.py compare FOLDER PROBE      a model and what `hexapla probe` wrote for it

`make` writes folders with random weights as transformers saves them, so that ours has to read them.
`compare` checks three things of a folder, ours or transformers':

1. the Auto class of its kind loads it with nothing missing, unexpected or mismatched;
2. rows with one document (or pair) and padding, and every one of a packed row seen alone, give the same
   logits, so packing neither leaks nor shifts positions;
3. the mean of -log P over the probe's predictions has the same gradient for every parameter.
"""

import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer

TOLERANCE = 1e-4

SMALL = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, vocab_size=199)
LLAMA = dict(SMALL, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1,
             eos_token_id=2, rms_norm_eps=1e-5)
ROPE = dict(rope_theta=10000.0, factor=4.0)

MADE = {
    "xlm-roberta": ("XLMRobertaForMaskedLM", "XLMRobertaConfig", dict(
        SMALL, max_position_embeddings=34, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0,
        eos_token_id=2)),
    "bert": ("BertForMaskedLM", "BertConfig", dict(SMALL, max_position_embeddings=32, type_vocab_size=2)),
    "llama": ("LlamaForCausalLM", "LlamaConfig", dict(LLAMA, tie_word_embeddings=True)),
    "llama-untied": ("LlamaForCausalLM", "LlamaConfig", dict(
        LLAMA, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, head_dim=24,
        rope_parameters=dict(rope_type="default", rope_theta=500000.0))),
    "llama-linear": ("LlamaForCausalLM", "LlamaConfig", dict(LLAMA, rope_parameters=dict(ROPE, rope_type="linear"))),
    "llama-dynamic": ("LlamaForCausalLM", "LlamaConfig", dict(LLAMA, rope_parameters=dict(ROPE, rope_type="dynamic"))),
    "llama-llama3": ("LlamaForCausalLM", "LlamaConfig", dict(LLAMA, rope_parameters=dict(
        ROPE, rope_type="llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16))),
    "llama-yarn": ("LlamaForCausalLM", "LlamaConfig", dict(LLAMA, rope_parameters=dict(
        ROPE, rope_type="yarn", original_max_position_embeddings=16))),
}

SIDES = dict(d_model=64, encoder_layers=2, decoder_layers=3, encoder_attention_heads=4, decoder_attention_heads=4,
             encoder_ffn_dim=96, decoder_ffn_dim=80, vocab_size=199, max_position_embeddings=32)
MADE |= {
    "m2m_100": ("M2M100ForConditionalGeneration", "M2M100Config", dict(SIDES, scale_embedding=True)),
    "mbart": ("MBartForConditionalGeneration", "MBartConfig", dict(SIDES)),
    "mbart-50": ("MBartForConditionalGeneration", "MBartConfig", dict(
        SIDES, scale_embedding=True, decoder_start_token_id=2, activation_function="relu")),
}


def make(folder):
    for name, (model, config, values) in MADE.items():
        torch.manual_seed(3)
        model = getattr(transformers, model)(getattr(transformers, config)(**values))
        with torch.no_grad():
            # Random everywhere: norms, biases and the rows of padding would else be ones and zeros.
            for _, parameter in model.named_parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
            for buffer_name, buffer in model.named_buffers():
                if buffer_name == "final_logits_bias":
                    buffer.add_(torch.randn_like(buffer))
        model.save_pretrained(Path(folder) / name)
        print(Path(folder) / name)


def compare(folder, probe):
    config = AutoConfig.from_pretrained(folder)
    model = getattr(transformers, config.architectures[0])
    model, info = model.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    model.eval()
    faults = [f"{what}: {sorted(map(str, names))}" for what, names in info.items() if names]
    probe = load_file(probe)
    ours = probe["logits"]
    passes = dict(padded=padded(probe), packed=packed(probe))
    loss = 0.0
    for what, inputs in passes.items():
        difference = 0.0
        for arguments, row, real in inputs:
            theirs = model(**arguments).logits[0][: len(real)]
            difference = max(difference, (theirs - ours[row][real]).abs().max().item())
            loss = loss + losses(theirs, row, real, probe)
        print(f"{what}: largest difference of logits {difference:.2e} (spread {ours.std():.2f})")
        if not difference < TOLERANCE:
            faults.append(f"{what}: {difference} is not below {TOLERANCE}")
    (loss / len(probe["places"])).backward()
    # Tied parameters have several names here and one there.
    largest, named = 0.0, dict(model.named_parameters(remove_duplicate=False))
    ours = {key[9:]: gradient for key, gradient in probe.items() if key.startswith("gradient.")}
    of = {named[name]: gradient for name, gradient in ours.items() if name in named}
    whole = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    for name, parameter in model.named_parameters():
        theirs, mine = parameter.grad, of.get(parameter)
        if theirs is None or mine is None:
            if any(g is not None and g.abs().max() > 0 for g in (theirs, mine)):
                faults.append(f"{name}: only one of both has a gradient")
            continue
        # What is zero but for rounding (biases of keys cancel in the softmax) is held to the whole.
        difference = ((theirs - mine).norm() / theirs.norm().clamp(min=1e-3 * whole)).item()
        largest = max(largest, difference)
        if not difference < TOLERANCE:
            faults.append(f"gradient of {name}: {difference} is not below {TOLERANCE}")
    strange = sorted(ours.keys() - named.keys())
    if strange:
        faults.append(f"gradients of unknown parameters: {strange}")
    print(f"gradients: largest relative difference {largest:.2e} of {len(of)} parameters")
    if (Path(folder) / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != config.pad_token_id:
            faults.append(f"padding is {tokenizer.pad_token_id} in the tokenizer, {config.pad_token_id} in the model")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    print("ok" if not faults else "failed")
    return 1 if faults else 0


def padded(probe):
    """Rows of one document (or pair), with their padding: arguments, row, real places."""
    for row, documents in enumerate(probe["documents"]):
        if documents.max() == 0:
            real = documents >= 0
            arguments = dict(input_ids=probe["input_ids"][row][None], attention_mask=real.long()[None])
            if "source_ids" in probe:
                there = probe["source_documents"][row] >= 0
                arguments = dict(
                    decoder_input_ids=arguments["input_ids"], decoder_attention_mask=arguments["attention_mask"],
                    input_ids=probe["source_ids"][row][None], attention_mask=there.long()[None])
            yield arguments, row, torch.nonzero(real)[:, 0]


def packed(probe):
    """Documents (or pairs) of packed rows, each alone."""
    for row, documents in enumerate(probe["documents"]):
        for document in range(documents.max() + 1 if documents.max() > 0 else 0):
            real = torch.nonzero(documents == document)[:, 0]
            arguments = dict(input_ids=probe["input_ids"][row][real][None])
            if "source_ids" in probe:
                there = probe["source_documents"][row] == document
                arguments = dict(
                    decoder_input_ids=arguments["input_ids"], input_ids=probe["source_ids"][row][there][None])
            yield arguments, row, real


def losses(logits, row, real, probe):
    """The sum of -log P of the predictions at some places of a row."""
    length = probe["input_ids"].shape[1]
    first = {row * length + place.item(): k for k, place in enumerate(real)}
    chosen = [(first[p.item()], g) for p, g in zip(probe["places"], probe["gold"]) if p.item() in first]
    if not chosen:
        return 0.0
    at, gold = torch.tensor([k for k, _ in chosen]), torch.stack([g for _, g in chosen])
    return torch.nn.functional.cross_entropy(logits[at], gold, reduction="sum")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder]:
            make(folder)
        case ["compare", folder, probe]:
            sys.exit(compare(folder, probe))
        case _:
            sys.exit(__doc__)
