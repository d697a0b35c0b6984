"""verifiers' own loader reads the criteria file."""

from verifiers.v1.judges.rubric import load_criteria

from tests.trainers.exported import HOSTILE, export


def test_the_rubric_judge_loads_the_criteria(tmp_path):
    folder = export("verifiers", tmp_path, "Mention pears.", HOSTILE)
    criteria = load_criteria(folder / "criteria.json")
    assert [criterion.text for criterion in criteria] == ["Mention pears.", HOSTILE]
    assert all(criterion.weight == 1.0 and criterion.choices == ["no", "yes"] for criterion in criteria)
