"""Makes a tiny reward model of relevance: `python make_reward_model.py FOLDER`.

The embedded model with a head of one number, fitted so that a response scores higher behind its own prompt than behind
another one. Small, and good enough to be seen at work; its worth on prompts that it was not fitted to is printed.
"""

import json
import random
import sys
from pathlib import Path

import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from autorule.backends.embedded import embedded_folder
from autorule.records import Message
from autorule.rewards.reward_model import RewardModel
from autorule.rewards.settings import RewardModelConfig

EXAMPLES = Path(__file__).parents[1]
SHUFFLES = 4


def main() -> None:
    folder = Path(sys.argv[1])
    tokenizer = transformers.AutoTokenizer.from_pretrained(embedded_folder())
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        embedded_folder(), num_labels=1, dtype=torch.float32
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    model.score.weight.data.zero_()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    train, train_labels = conversations(EXAMPLES / "sample_pairs.jsonl")
    test, test_labels = conversations(EXAMPLES / "held_out_pairs.jsonl")
    head = LogisticRegression(C=0.01, max_iter=2000).fit(hidden_states(folder, train), train_labels)
    model.score.weight.data = torch.tensor(head.coef_, dtype=torch.float32)
    model.save_pretrained(folder)
    scores = RewardModel(RewardModelConfig(model=str(folder), normalise="none")).scores(test)
    own = [score for score, label in zip(scores, test_labels, strict=True) if label]
    figures = {
        "auc_held_out": roc_auc_score(test_labels, scores),
        "mean": sum(scores) / len(scores),
        "std": float(torch.tensor(scores).std()),
        "mean_of_real_responses": sum(own) / len(own),
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def conversations(path: Path) -> tuple[list[tuple[Message, ...]], list[int]]:
    """Each response behind its own prompt (label 1) and behind other ones (0)."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    draw = random.Random(0)
    found, labels = [], []
    for row in rows:
        for response in (row["chosen"], row["rejected"]):
            others = draw.sample([other["prompt"] for other in rows if other is not row], SHUFFLES)
            for prompt, label in ((row["prompt"], 1), *((other, 0) for other in others)):
                cut = " ".join(response.split()[: draw.randint(8, 45)])  # as short as what the policy writes
                found.append((Message(role="user", content=prompt), Message(role="assistant", content=cut)))
                labels.append(label)
    return found, labels


def hidden_states(folder: Path, shown: list[tuple[Message, ...]]) -> torch.Tensor:
    """What the head is given: the hidden state at the last token."""
    from autorule.backends.chat_tokens import ChatTokens

    tokens = ChatTokens(transformers.AutoTokenizer.from_pretrained(folder))
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        states = [
            model(input_ids=torch.tensor([tokens.encode_messages(turns, finished=True)])).last_hidden_state[0, -1]
            for turns in shown
        ]
    return torch.stack(states)


if __name__ == "__main__":
    main()
