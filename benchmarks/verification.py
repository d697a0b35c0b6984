"""Verdicts a second by engine and layout, and how well the engines' P(yes) agree.

    python benchmarks/verification.py layouts [--rounds 5] [--model FOLDER]
    python benchmarks/verification.py agreement PAIRS.jsonl

Needs vLLM. The server is started here. Every engine gets the same conversations, new ones each round, and the rounds
alternate between the engines; what is printed is the median. "unique" are the tokens that have to be computed once:
the conversation and each rule; the bound is the engine's raw prefill rate divided by them.
"""

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
RESULTS = Path(__file__).parent / "results" / "verification.json"
RULES = (5, 20, 50)
LENGTHS = (200, 430, 1500)
WORDS = "the of and to in is that for it as was with be by on not he this are or his from at which but"
HTTP_AND_PROCESS = ("http chat", "http scoring", "http tokens", "in process")
CASES_IN_A_ROW = 3
REFERENCE_RULES = 5
"""Whose rate stands for any number: rule first, the rules share nothing."""


class Case(NamedTuple):
    n_rules: int
    length: int
    requests: list[Any]
    reference: list[list[int]]
    """Prompts with the rule first, as token ids."""
    n_unique: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=("layouts", "transformers", "agreement"))
    parser.add_argument("pairs", nargs="?", type=Path, help="rows with prompt and response_a, for the agreement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", help="folder of the weights; the embedded model if left out")
    parser.add_argument("--device", default="auto", help="of the transformers engines")
    arguments = parser.parse_args()
    from autorule.backends.embedded import embedded_folder

    folder = arguments.model or str(embedded_folder())
    if arguments.job == "transformers":
        report = measure_transformers(folder, arguments.rounds)
    else:
        with vllm_server(folder) as base_url:
            if arguments.job == "layouts":
                report = measure_layouts(folder, base_url, arguments.rounds)
            else:
                report = measure_agreement(folder, base_url, arguments.pairs)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**kept, arguments.job: report}, indent=2) + "\n")


def measure_layouts(folder: str, base_url: str, rounds: int) -> dict[str, Any]:
    engines = open_engines(folder, base_url)
    tokens = engines["transformers"]._load().tokens
    rng = random.Random(0)
    warm = make_case(tokens, rng, 5, 200)
    for engine in engines.values():
        list(engine.score_choices(warm.requests))
    seconds: dict[str, list[float]] = {}
    facts: dict[str, dict[str, float]] = {}
    for number in range(rounds):
        for n_rules in RULES:
            for length in LENGTHS:
                case = make_case(tokens, rng, n_rules, length)
                name = f"{n_rules} rules, {length} tokens"
                facts[name] = _facts(case, tokens)
                for way, rate in time_case(case, engines, rng).items():
                    seconds.setdefault(f"{name}|{way}", []).append(rate)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return _print_layouts(seconds, facts)


def measure_transformers(folder: str, rounds: int) -> dict[str, Any]:
    """transformers alone, over several conversations in a row: in `layouts` it shares the process with vLLM's threads,
    and is timed over one or two."""
    from autorule.backends import open_backend
    from autorule.config.models import ModelConfig

    local: Any = open_backend(ModelConfig(model=folder, dtype="bfloat16"))
    tokens, rng = local._load().tokens, random.Random(0)
    rates: dict[str, dict[str, list[float]]] = {}
    ratios = {}
    for _ in range(rounds):
        for n_rules in RULES:
            for length in LENGTHS:
                cases = [make_case(tokens, rng, n_rules, length) for _ in range(CASES_IN_A_ROW)]
                name = f"{n_rules} rules, {length} tokens"
                ratios[name] = _facts(cases[0], tokens)["token_ratio"]
                found = rates.setdefault(name, {"prefix": [], "full": []})
                requests = [request for case in cases for request in case.requests]
                n_verdicts = n_rules * len(requests)
                seconds = _seconds(lambda requests=requests: list(local.score_choices(requests)))
                found["prefix"].append(n_verdicts / seconds)
                prompts = [prompt for case in cases for prompt in case.reference]
                found["full"].append(len(prompts) / _seconds(lambda prompts=prompts: run_padded(local, prompts)))
    report = {}
    for name, found in rates.items():
        speedup = statistics.median(found["prefix"]) / statistics.median(found["full"])
        report[name] = {"token_ratio": ratios[name], "speedup": speedup, "of_ratio": speedup / ratios[name]}
        print(f"{name}: {speedup:.1f}x, {speedup / ratios[name]:.0%} of K(P+S)/(P+KS)")
    return report


def time_case(case: Case, engines: dict[str, Any], rng: random.Random) -> dict[str, float]:
    """Way -> verdicts a second; and the raw prefill rate of vLLM in tokens a second.

    One server answers the ways over HTTP, so each has conversations of its own: none finds another's in the cache. Each
    engine answers a short conversation before it is timed: its threads are awake, and the last engine's asleep.
    """
    rates = {}
    tokens = engines["transformers"]._load().tokens
    for way in (*HTTP_AND_PROCESS, "transformers"):
        own = make_case(tokens, rng, case.n_rules, case.length).requests
        list(engines[way].score_choices(make_case(tokens, rng, 5, 200).requests))
        rates[way] = case.n_rules * len(own) / _seconds(lambda way=way, own=own: list(engines[way].score_choices(own)))
    vllm, local = engines["in process"], engines["transformers"]
    rates["reference"] = len(case.reference) / _seconds(lambda: run_ids(vllm, case.reference))
    raw = [[rng.randrange(1000, 40_000) for _ in prompt] for prompt in case.reference]
    rates["raw prefill"] = sum(map(len, raw)) / _seconds(lambda: run_ids(vllm, raw))
    run_padded(local, make_case(tokens, rng, 5, 200).reference)
    rates["transformers full"] = len(case.reference) / _seconds(lambda: run_padded(local, case.reference))
    return rates


def make_case(tokens: Any, rng: random.Random, n_rules: int, length: int) -> Case:
    """Conversations whose shared part has about `length` tokens, enough of them for a thousand unique tokens."""
    from autorule.verification.direct import build_request, questions_of

    rules = make_rules(n_rules)
    questions = questions_of(rules)
    n_conversations = max(1, 1000 // (length + 25 * n_rules))
    requests, reference, n_unique = [], [], 0
    for _ in range(n_conversations):
        completion = make_conversation(rng, length - 75)
        request = build_request(completion, rules.verification, questions)
        plain = tokens.encode_choices(_without_filling(request))
        n_unique += len(plain.prefix) + sum(map(len, plain.suffixes))
        requests.append(request)
    for question in questions[:REFERENCE_RULES]:
        plain = tokens.encode_choices(_without_filling(requests[0]))
        suffix = plain.suffixes[questions.index(question)]
        reference.append(suffix + plain.prefix)
    return Case(n_rules, length, requests, reference, n_unique // n_conversations)


def make_rules(n_rules: int) -> Any:
    from autorule.config.stages import RewardConfig, VerificationConfig
    from autorule.prompting import load_prompt
    from autorule.records import Rule
    from autorule.rules.rule_sets import RuleSet, VerificationSpec

    rules = [
        Rule(rule_id=f"r{i}", text=f"The response should give reason number {i} for what it claims.", support=1)
        for i in range(n_rules)
    ]
    config = VerificationConfig()
    spec = VerificationSpec.from_config(config, load_prompt(config.prompt_name))
    return RuleSet(rules=tuple(rules), verification=spec, reward=RewardConfig())


def make_conversation(rng: random.Random, n_tokens: int) -> Any:
    from autorule.preferences.completions import completion_id
    from autorule.records import Completion, Message

    words = WORDS.split()
    text = " ".join(rng.choice(words) for _ in range(n_tokens))
    prompt = (Message(role="user", content=f"Question {rng.random()}?"),)
    reply = (Message(role="assistant", content=text),)
    return Completion(completion_id=completion_id(prompt, reply), row=1, prompt=prompt, completion=reply)


def open_engines(folder: str, base_url: str) -> dict[str, Any]:
    from autorule.backends import open_backend
    from autorule.config.models import ModelConfig

    http = {"backend": "openai_compatible", "model": "verifier", "base_url": base_url}
    return {
        "http chat": open_backend(ModelConfig(**http, scoring="chat")),
        "http scoring": open_backend(ModelConfig(**http, scoring="generative_scoring")),
        "http tokens": open_backend(ModelConfig(**http)),
        "in process": open_backend(ModelConfig(backend="vllm_engine", model=folder, max_model_len=4096)),
        "transformers": open_backend(ModelConfig(model=folder, dtype="bfloat16")),
    }


def run_ids(vllm: Any, prompts: list[list[int]]) -> None:
    from vllm import SamplingParams

    vllm._run(vllm._load(), prompts, [SamplingParams(max_tokens=1, logprobs=2, detokenize=False)] * len(prompts))


def run_padded(local: Any, prompts: list[list[int]]) -> None:
    """Full prompts in batches sorted by length, padded on the left, logits at the last position alone."""
    import torch

    loaded = local._load()
    ordered = sorted(prompts, key=len)
    for start in range(0, len(ordered), 8):
        batch = ordered[start : start + 8]
        width = max(map(len, batch))
        ids = torch.tensor([[0] * (width - len(p)) + p for p in batch])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch])
        with torch.inference_mode():
            loaded.model(input_ids=ids, attention_mask=mask, logits_to_keep=1, use_cache=False)


def measure_agreement(folder: str, base_url: str, pairs: Path) -> dict[str, Any]:
    import numpy as np

    from autorule.backends import open_backend
    from autorule.config.models import ModelConfig
    from autorule.preferences.completions import completion_id
    from autorule.records import Completion, Message
    from autorule.verification.direct import build_request, questions_of

    rules = make_rules(10)
    questions = questions_of(rules)
    requests: dict[str, Any] = {}
    for line in pairs.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        parts = (Message(role="user", content=row["prompt"]),), (Message(role="assistant", content=row["response_a"]),)
        completion = Completion(completion_id=completion_id(*parts), row=1, prompt=parts[0], completion=parts[1])
        requests[completion.completion_id] = build_request(completion, rules.verification, questions)
        if len(requests) == 50:
            break
    engines = {
        **open_engines(folder, base_url),
        "transformers float32": open_backend(ModelConfig(model=folder, dtype="float32")),
    }
    p = {}
    # Chat sends text, which can't be filled up to whole blocks token by token: it is compared on unfilled prompts.
    plain = ("http chat", "transformers unfilled")
    engines["transformers unfilled"] = engines["transformers"]
    for name, engine in engines.items():
        shown = [_without_filling(request) if name in plain else request for request in requests.values()]
        answers = {(a.request.request_id, a.question.question_id): a.result for a in engine.score_choices(shown)}
        values = [answers[key].probabilities for key in sorted(answers)]
        p[name] = np.array([v["Yes"] / (v["Yes"] + v["No"]) for v in values])
    report = {}
    for one, other in (
        ("in process", "transformers"), ("http tokens", "transformers"), ("http scoring", "transformers"),
        ("http chat", "transformers unfilled"),
        ("transformers", "transformers float32"), ("in process", "transformers float32"),
    ):  # fmt: skip
        logits = [np.log(v / (1 - v)) for v in (p[one], p[other])]
        pearson, gap = float(np.corrcoef(*logits)[0, 1]), float(np.abs(p[one] - p[other]).mean())
        report[f"{one} | {other}"] = {"pearson_logit": pearson, "mean_abs_dp": gap, "n": len(p[one])}
        print(f"{one:>14} | {other:<22} Pearson of logits {pearson:.4f}, mean |dP| {gap:.4f}, {len(p[one])} verdicts")
    return report


def _print_layouts(rates: dict[str, list[float]], facts: dict[str, dict[str, float]]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for name, fact in facts.items():
        found = {key.partition("|")[2]: statistics.median(v) for key, v in rates.items() if key.startswith(f"{name}|")}
        bound = found["raw prefill"] / fact["unique_per_verdict"]
        case: dict[str, Any] = {**fact, "raw_prefill_tokens_s": found["raw prefill"], "bound_verdicts_s": bound}
        case["verdicts_s"] = {way: rate for way, rate in found.items() if way != "raw prefill"}
        case["of_bound"] = {w: found[w] / bound for w in HTTP_AND_PROCESS}
        case["over_reference"] = {w: found[w] / found["reference"] for w in HTTP_AND_PROCESS}
        case["transformers_speedup"] = found["transformers"] / found["transformers full"]
        case["transformers_of_ratio"] = case["transformers_speedup"] / fact["token_ratio"]
        report[name] = case
        print(f"{name}: raw prefill {found['raw prefill']:.0f} tokens/s, bound {bound:.1f} verdicts/s")
        for way in ("reference", *HTTP_AND_PROCESS):
            times = found[way] / found["reference"]
            print(f"  {way:>18} {found[way]:8.1f}/s {found[way] / bound:6.0%} of bound {times:6.1f}x")
        print(
            f"  {'transformers full':>18} {found['transformers full']:8.1f}/s; "
            f"with prefix {found['transformers']:.1f}/s: {case['transformers_speedup']:.1f}x, "
            f"{case['transformers_of_ratio']:.0%} of K(P+S)/(P+KS)"
        )
    return report


def _facts(case: Case, tokens: Any) -> dict[str, float]:
    plain = tokens.encode_choices(_without_filling(case.requests[0]))
    prefix, suffix = len(plain.prefix), statistics.fmean(map(len, plain.suffixes))
    whole = case.n_rules * (prefix + suffix)
    return {
        "prefix_tokens": prefix,
        "suffix_tokens": suffix,
        "unique_per_verdict": case.n_unique / case.n_rules,
        "token_ratio": whole / (prefix + case.n_rules * suffix),
    }


def _without_filling(request: Any) -> Any:
    import dataclasses

    return dataclasses.replace(request, align=1)


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@contextmanager
def vllm_server(folder: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    import torch

    on_cpu = [] if torch.cuda.is_available() else ["--block-size", "32"]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder,
        "--served-model-name", "verifier",
        "--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16", "--max-model-len", "4096", *on_cpu,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None:
                    raise SystemExit("vLLM's server ended before it was ready") from None
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
