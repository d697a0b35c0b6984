"""Lists that ran on are counted, and the count is shown; their rules go on."""

import json

from autorule.backends.scripted import ScriptedBackend
from autorule.records import CandidateRule
from autorule.report.steps import funnel_steps
from autorule.runs.files import CANDIDATES, read_records
from autorule.terminal.runs import print_extraction
from tests.integration.test_flows import extract
from tests.scripts import answer_text


def runs_on():
    def generate(request):
        shown = request.messages[-1].content
        text, _ = answer_text(request.stage, shown)
        if request.stage == "mining":
            text = json.dumps({"rules": [f"The response should name fact {n}." for n in range(17)]})
        elif request.json_schema and "contradictions" in request.json_schema["properties"]:
            text = json.dumps({"contradictions": [1] * 50})
        return text

    return ScriptedBackend(generate, name="runs_on")


def test_lists_that_ran_on_are_counted_and_shown(tmp_path, capsys):
    model = {"backend": "scripted", "model": "tests.integration.test_lists_cut:runs_on"}
    manifest, folder = extract(tmp_path, model=model, limit=4)
    marked = [c for c in read_records(folder / CANDIDATES, CandidateRule) if "list_cut" in c.lint]
    assert len(marked) == 4 and manifest.funnel.rules > 0
    assert manifest.funnel.lists_cut == 4 + 1  # mining, and the contradictions of one call
    assert not manifest.funnel.imbalances()
    assert any("5 lists ran on" in step.rest for step in funnel_steps(manifest.funnel))
    print_extraction(folder, manifest)
    assert "5 lists ran on" in " ".join(capsys.readouterr().out.replace("│", " ").split())
