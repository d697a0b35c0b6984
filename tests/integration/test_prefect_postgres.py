"""Prefect on Postgres instead of SQLite: with a server of our own, where the programs of one are at hand."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from autorule import local_prefect
from autorule.runs.manifest import RunManifest
from tests.integration.prefect_project import ENDS, config_for, free_port, prefect_in, trigger, wait_for
from tests.integration.scripted_server import ScriptedServer

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("prefect")]
SUPERUSER = "prefect"


def programs():
    """The folder of initdb and pg_ctl; None where there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@pytest.fixture
def postgres(tmp_path):
    """The URL of an empty database on loopback."""
    folder = programs()
    if folder is None:
        pytest.skip("needs Postgres's initdb and pg_ctl: install the package postgresql")
    other = {}
    home = tmp_path / "postgres"
    home.mkdir()
    if os.geteuid() == 0:  # Postgres refuses to run as root
        other = {"user": "postgres", "group": "postgres", "extra_groups": []}
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("needs a user besides root to run Postgres: its package makes the user postgres")
        shutil.chown(home, "postgres")
        for parent in (home, *home.parents):
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)  # pytest's own folders let nobody through
    data, port = home / "data", free_port()

    def run(*arguments):
        done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, cwd=home, **other)
        assert done.returncode == 0, done.stdout + done.stderr

    run(folder / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8")
    options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={home}"
    run(folder / "pg_ctl", "-D", data, "-o", options, "-l", home / "log", "-w", "start")
    try:
        yield f"postgresql+asyncpg://{SUPERUSER}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], cwd=home, **other)


def test_an_extraction_under_a_worker_whose_server_is_on_postgres(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", postgres)
    project = tmp_path / "project"
    project.mkdir()
    with prefect_in(project) as up, ScriptedServer() as server:
        run = trigger(up.port, config_for(server, tmp_path, "on-postgres"))
        assert wait_for(up.port, run, *ENDS)["type"] == "COMPLETED"
        assert not (project / local_prefect.STATE / "prefect.db").exists()
    manifest = tmp_path / "outputs/on-postgres/manifest.json"
    assert RunManifest.model_validate_json(manifest.read_text(encoding="utf-8")).status == "completed"
