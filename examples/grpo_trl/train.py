"""GRPO with an exported rule reward on the embedded model, on a CPU: `python train.py --seed 0 --out results`.

Writes results/rules-seed0.json: every step's reward and rules, samples before and after, and what became of the policy
(empty, constant and off-topic answers). With --reward-model FOLDER (make_reward_model.py) the two rewards are combined.
"""

import argparse
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from autorule.backends.embedded import embedded_folder
from autorule.rewards import RuleReward

HERE = Path(__file__).parent
EDGE = 10
"""Steps at either end whose means are compared."""


def main() -> None:
    options = read_options()
    folder = options.model or str(embedded_folder())
    with tempfile.TemporaryDirectory() as name:
        reward = export(Path(name) / "export", options.reward_model)
        trainer = GRPOTrainer(
            model=folder,
            reward_funcs=[reward.rule_reward],
            args=settings(options, name),
            train_dataset=Dataset.from_list([{"prompt": turns(p)} for p in prompts("sample_pairs.jsonl")]),
        )
        asked = prompts("held_out_pairs.jsonl")[: options.eval_prompts]
        before = answers(trainer, asked, options)
        begun = time.monotonic()
        trainer.train()
        minutes = (time.monotonic() - begun) / 60
        after = answers(trainer, asked, options)
        scorer = reward.load()
        report = {
            "seed": options.seed,
            "trained_on": "rules and reward model" if options.reward_model else "rules",
            "minutes": minutes,
            **curves(trainer.state.log_history, scorer),
            "before": describe(before, asked, scorer),
            "after": describe(after, asked, scorer),
            "samples": [{"prompt": p, "before": b, "after": a} for p, b, a in zip(asked, before, after, strict=True)],
        }
    options.out.mkdir(parents=True, exist_ok=True)
    kind = "rules_and_reward_model" if options.reward_model else "rules"
    path = options.out / f"{kind}-seed{options.seed}.json"
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: fraction {report['first_steps']:.2f} -> {report['last_steps']:.2f} in {minutes:.1f} min")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=45)
    parser.add_argument("--model", help="folder of the policy; the embedded model if left out")
    parser.add_argument("--reward-model", type=Path, help="folder that make_reward_model.py wrote")
    parser.add_argument("--eval-prompts", type=int, default=16)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def export(folder: Path, reward_model: Path | None) -> Any:
    """The module of `autorule export --to trl`."""
    command = [
        sys.executable,
        "-m",
        "autorule",
        "export",
        str(HERE / "rules.json"),
        "--to",
        "trl",
        "--out",
        str(folder),
    ]
    if reward_model is not None:
        figures = json.loads((reward_model / "figures.json").read_text())
        values = {
            "model": json.dumps(str(reward_model.resolve())),
            "mean": figures["mean"],
            "std": figures["std"],
            "weight": 0.2,
        }
        command += [part for key, value in values.items() for part in ("--set", f"reward_model.{key}={value}")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    spec = importlib.util.spec_from_file_location("rule_reward", folder / "rule_reward.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def settings(options: argparse.Namespace, folder: str) -> GRPOConfig:
    return GRPOConfig(
        output_dir=folder,
        seed=options.seed,
        max_steps=options.steps,
        learning_rate=4e-5,
        lr_scheduler_type="constant",
        per_device_train_batch_size=8,
        num_generations=8,
        max_completion_length=64,
        temperature=1.0,
        model_init_kwargs={"dtype": "float32"},
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
    )


def prompts(name: str) -> list[str]:
    lines = (HERE.parent / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["prompt"] for line in lines]


def turns(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def answers(trainer: GRPOTrainer, asked: list[str], options: argparse.Namespace) -> list[str]:
    """One answer to each prompt, drawn at temperature 1 by the seed, of at most 64 tokens."""
    import torch

    torch.manual_seed(options.seed)
    tokenizer, model = trainer.processing_class, trainer.model
    found = []
    for prompt in asked:
        inputs = tokenizer.apply_chat_template(
            turns(prompt), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=64, do_sample=True, temperature=1.0, top_k=0)
        found.append(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return found


def curves(history: list[dict[str, float]], scorer: RuleReward) -> dict[str, Any]:
    steps = [entry for entry in history if "rule_reward/fraction" in entry]
    fractions = [entry["rule_reward/fraction"] for entry in steps]
    return {
        "first_steps": statistics.fmean(fractions[:EDGE]),
        "last_steps": statistics.fmean(fractions[-EDGE:]),
        "fraction": fractions,
        "reward": [entry["rewards/rule_reward/mean"] for entry in steps],
        "rules": {rule.text: [entry[f"rule_reward/rule/{rule.rule_id}"] for entry in steps] for rule in scorer.rules},
        "tokens": [entry.get("completions/mean_length") for entry in steps],
    }


def describe(found: list[str], asked: list[str], scorer: RuleReward) -> dict[str, Any]:
    """Whether the policy still answers, or has found a way around the rules."""
    scored = scorer.score(asked, found)
    model_scores = [one.reward_model for one in scored if one.reward_model is not None]
    n = len(found)
    answers = Counter(text.casefold() for text in found)
    beginnings = Counter(" ".join(text.casefold().split()[:3]) for text in found)
    off_topic = [not content_words(prompt) & content_words(text) for prompt, text in zip(asked, found, strict=True)]
    return {
        "fraction": statistics.fmean(one.rules.fraction for one in scored if one.rules.fraction is not None),
        "empty": sum(not text for text in found) / n,
        "most_common_answer": answers.most_common(1)[0][1] / n,
        "most_common_beginning": beginnings.most_common(1)[0][1] / n,
        "off_topic": sum(off_topic) / n,
        "mean_words": statistics.fmean(len(text.split()) for text in found),
        "reward_model_z": statistics.fmean(model_scores) if model_scores else None,
    }


def content_words(text: str) -> set[str]:
    """Words of five letters or more: an answer that shares none with its prompt is counted as off topic."""
    return {word[:5] for word in re.findall(r"[a-z]{5,}", text.casefold())}


if __name__ == "__main__":
    main()
