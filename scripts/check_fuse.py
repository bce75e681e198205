"""Fuses made-up models with `hexapla fuse` and with mergekit's own methods, and compares weights.

usage: check_fuse.py HEXAPLA FOLDER (a folder that does not exist yet)

Models are of several types of numbers, near to one another and far, with matrices, vectors and
nothing. Every weight must agree to 1e-6 of 32-bit models, and to one step of the last bit of 16-bit
ones, which mergekit is told to calculate in 32 bits (`dtype: float32`) as hexapla does.
"""

import json
import pathlib
import subprocess
import sys

import torch
from mergekit.merge_methods import registry
from mergekit.merge_methods.base import TensorBatch, TensorGroup
from mergekit.merge_methods.slerp import slerp
from safetensors.torch import load_file, save_file

SHAPES = {"embed.weight": (301, 24), "layer.0.weight": (48, 24), "layer.0.bias": (48,), "norm.weight": (24,),
          "kernel": (4, 3, 5), "scalar": (1,), "same": (7, 7)}
STEPS = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def model(folder, dtype, seed, base=None, near=0.0):
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in SHAPES.items():
        fresh = torch.randn(shape, generator=draw, dtype=torch.float64) * 0.05
        if base is not None:
            fresh = base[name].double() + fresh * near
        tensors[name] = fresh.to(dtype)
    tensors["same"] = torch.ones(SHAPES["same"], dtype=dtype)
    tensors["position_ids"] = torch.arange(9)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text("{}")
    return tensors


def undecided(base, models, density):
    """Weights whose change is as large as the smallest that TIES keeps, where not all such are kept.

    Which of them stay is left open: mergekit sorts without saying how equals are ordered, hexapla
    takes the first. Models of 16 bits have many.
    """
    open_ = torch.zeros(base.shape, dtype=torch.bool)
    for model in models:
        size = (model - base).abs()
        keep = max(1, int(density * size.numel()))
        least = size.flatten().sort(descending=True).values[keep - 1]
        if density < 1 and (size >= least).sum() > keep:
            open_ |= size == least
    return open_


def main():
    hexapla, work = sys.argv[1], pathlib.Path(sys.argv[2])
    done = []
    for dtype, tolerance in STEPS.items():
        for near in (0.3, 30.0):
            at = work / f"{dtype}-{near}".replace("torch.", "")
            base = model(at / "base", dtype, 1)
            names = ["a", "b", "c"]
            models = [model(at / name, dtype, 2 + i, base, near) for i, name in enumerate(names)]
            paths = [str(at / name) for name in names]
            if dtype in (torch.float16, torch.bfloat16):
                widen = lambda tensors: {k: v.float() if v.dtype == dtype else v for k, v in tensors.items()}
                base, models = widen(base), [widen(m) for m in models]

            def check(what, args, expected, density=1.0):
                out = at / f"out{len(done)}"
                command = [hexapla, "fuse", *args, "--out", str(out), "--json"]
                result = subprocess.run(command, capture_output=True, text=True, check=False)
                assert result.returncode == 0, (command, result.stderr)
                found, worst = load_file(out / "model.safetensors"), 0.0
                assert found["position_ids"].equal(base["position_ids"])
                for name in SHAPES:
                    theirs = expected(name).to(dtype)
                    assert found[name].dtype == theirs.dtype and found[name].shape == theirs.shape, name
                    gap = (found[name].double() - theirs.double()).abs() / theirs.double().abs().clamp(min=1)
                    gap[undecided(base[name], [m[name] for m in models], density)] = 0
                    worst = max(worst, gap.max().item())
                assert worst <= tolerance, (what, dtype, near, worst)
                done.append((what, dtype, worst))
                return json.loads(result.stdout)

            for weights in ([1.0, 1.0, 1.0], [0.7, 0.2, 0.4]):
                text = ",".join(map(str, weights))
                def linear(name):
                    batch = TensorBatch(tuple(m[name][None] for m in models))
                    return registry.get("linear").merge_batch(batch, weight=torch.tensor([weights], dtype=torch.float64), normalize=True)[0]
                told = check("linear", ["linear", *paths, "--weights", text], linear)
                assert (told["warning"] is None) == (near < 1), told
                group = lambda name: TensorGroup.from_tensors([base[name], *(m[name] for m in models)], base_index=0)
                def shared(density, lam, normalize):
                    return {"weight": {1 + i: w for i, w in enumerate(weights)}, "density": {1: density, 2: density, 3: density},
                            "lambda": lam, "normalize": normalize, "int8_mask": False, "rescale": False}
                for lam in (1.0, 0.6):
                    check("task", ["task", *paths, "--base", str(at / "base"), "--weights", text, "--lambda", str(lam)],
                          lambda name: registry.get("task_arithmetic").merge_group(group(name), **shared(1.0, lam, False)))
                    for density in (1.0, 0.5, 0.2, 0.001):
                        check("ties", ["ties", *paths, "--base", str(at / "base"), "--weights", text,
                                       "--density", str(density), "--lambda", str(lam)],
                              lambda name: registry.get("ties").merge_group(group(name), **shared(density, lam, True)), density)
            for t in (0.0, 0.3, 0.5, 1.0):
                check("slerp", ["slerp", *paths[:2], "--t", str(t)],
                      lambda name: slerp(torch.tensor([t], dtype=torch.float64), models[0][name][None], models[1][name][None])[0])
    for what in ("linear", "task", "ties", "slerp"):
        for dtype in STEPS:
            gaps = [gap for name, kind, gap in done if (name, kind) == (what, dtype)]
            print(f"{what:7} {str(dtype):15} {len(gaps):3} fusions, largest difference {max(gaps):.1e}")


if __name__ == "__main__":
    main()
