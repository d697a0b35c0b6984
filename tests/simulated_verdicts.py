"""Verdict matrices whose truth is known."""

import numpy as np

from autorule.statistics.matrix import PairMatrix


def simulate(rng, agreements, n_prompts=1500, per_prompt=1, spread=0.0, discordant=None, duplicates=(), flips=0.03):
    """A matrix of rules that agree with people as often as `agreements` says, on the pairs that they tell apart.

    `per_prompt`: pairs of each prompt, one number or one for each. `spread`: correlation of the agreement of pairs of
    one prompt. `discordant`: share of pairs that a rule tells apart, 30 to 50 % when left out. `duplicates`: (copy,
    original): a rule whose verdicts are another's but for `flips`.
    """
    agreements = np.asarray(agreements, dtype=float)
    prompts = np.repeat(np.arange(n_prompts), per_prompt)
    n, k = len(prompts), len(agreements)
    rates = rng.uniform(0.3, 0.5, k) if discordant is None else np.full(k, discordant)
    apart = rng.random((n, k)) < rates
    chance = np.broadcast_to(agreements, (n, k))
    if spread:
        a = (1 - spread) / spread
        chance = rng.beta(agreements * a, (1 - agreements) * a, size=(n_prompts, k))[prompts]
    agrees = rng.random((n, k)) < chance
    same = rng.random((n, k)) < 0.5
    chosen, rejected = np.where(apart, agrees, same), np.where(apart, ~agrees, same)
    for copy, original in duplicates:
        chosen[:, copy] = chosen[:, original] ^ (rng.random(n) < flips)
        rejected[:, copy] = rejected[:, original] ^ (rng.random(n) < flips)
    ids = tuple(f"r{i}" for i in range(k))
    return PairMatrix(ids, chosen.astype(np.int8), rejected.astype(np.int8), prompts)
