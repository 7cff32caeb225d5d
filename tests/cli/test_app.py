from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from tests.helpers.command_line import ROOT, call_cli, one_line, run_cli
from tests.helpers.processes import free_ports

COMMANDS = [
    ["broker"],
    ["produce"],
    ["tail"],
    ["demo"],
    ["bench"],
    *(["acls", one] for one in ("list", "add", "remove")),
    *(["topics", one] for one in ("create", "list", "describe", "alter", "delete", "plan")),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_teaches(words):
    """
    Every command has help with an example that begins with its own words.
    """
    done = call_cli(*words, "--help")

    assert 0 == done.returncode
    assert f"\n  pyproducer {' '.join(words)}" in done.stdout


def test_help_names_commands_and_statuses():
    """
    The help of the whole lists the commands and says what the exit statuses mean.
    """
    done = run_cli("--help")

    assert 0 == done.returncode
    assert all(f"\n  {words[0]} " in done.stdout for words in COMMANDS)
    assert "3 no broker reached" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["tail", "t", "--nonsense"], "--nonsense"),
        (["tail"], "TOPIC"),
        (["tail", "t"], "--bootstrap-server"),
        (["tail", "t", "--bootstrap-server", "x:y"], "no valid port"),
        (["tail", "t", "-n", "many"], "-n"),
        (["tail", "t", "--bootstrap-server", "x:1", "--config", "/no/such/file"], "/no/such/file"),
        (["topics", "list", "--dialect", "perl", "--bootstrap-server", "x"], "--dialect"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_wrong_usage_is_one_line(words, told):
    """
    Wrong usage ends with 2 and one line on stderr that names the culprit.
    """
    done = call_cli(*words)

    assert (2, "") == (done.returncode, done.stdout)
    assert told in one_line(done.stderr)


@pytest.mark.parametrize(
    "words",
    [["topics", "list"], ["produce", "some.topic"]],
    ids=lambda words: words[0],
)
def test_no_broker_is_told(words):
    """
    Where nothing listens, a command ends with 3 and names the address.
    """
    [port] = free_ports(1)
    done = run_cli(*words, "--bootstrap-server", f"127.0.0.1:{port}", stdin="x\n", timeout=15)

    assert (3, "") == (done.returncode, done.stdout)
    assert f"127.0.0.1:{port}" in one_line(done.stderr)


def test_options_may_stand_before_the_command(servers):
    """
    The shared options are taken before the command as well as behind it.
    """
    before = call_cli("--bootstrap-server", servers, "--json", "topics", "list", "--internal")
    behind = call_cli("topics", "list", "--bootstrap-server", servers, "--json", "--internal")

    assert 0 == before.returncode, before.stderr
    assert before.stdout == behind.stdout
    assert before.stdout.startswith("[")


def test_config_file_names_the_cluster(servers, tmp_path):
    """
    bootstrap.servers of a properties file is used, and an option that nobody knows is refused.
    """
    path = tmp_path / "client.properties"
    path.write_text(f"# a comment\nbootstrap.servers = {servers}\nlinger.ms: 3\n")

    assert 0 == call_cli("topics", "list", "--config", path).returncode

    path.write_text("linger.milliseconds=3\n")
    done = call_cli("topics", "list", "--config", path, "--bootstrap-server", servers)

    assert 2 == done.returncode
    assert "linger.milliseconds" in one_line(done.stderr)


def test_debug_shows_the_traceback():
    """
    With --debug an error has its traceback, without it has none.
    """
    words = ["tail", "t", "--bootstrap-server", "x:y"]

    assert "Traceback" in run_cli(*words, "--debug").stderr
    assert "Traceback" not in call_cli(*words).stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_names_the_command(missing):
    """
    Without the extra there is one line that has the pip command, and status 2.
    """
    code = f"""
import sys
sys.modules[{missing!r}] = None
from pyproducer.cli import main
sys.exit(main(["topics", "list"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert "pip install 'pyproducer[cli]'" in one_line(done.stderr)


def test_entry_point_is_installed():
    """
    The distribution installs a command of the name pyproducer, which is this one.
    """
    [script] = importlib.metadata.entry_points(group="console_scripts", name="pyproducer")

    assert "pyproducer.cli:main" == script.value


def test_a_command_that_is_named_first_imports_no_other():
    """
    Starting a broker waits for no import of what draws tables or produces records.
    """
    code = """
import sys
from pyproducer.cli.app import run
assert run(["broker", "--help"]) == 0
print(*sorted({"rich", "pyproducer.producer", "pyproducer.core.engine"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert "" == done.stdout.splitlines()[-1]


def test_options_before_the_command_may_have_its_name_as_their_value(tmp_path, monkeypatch):
    """
    Only a first word is taken for the command without asking the parser.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broker").write_text("bootstrap.servers=x:y\n")

    done = call_cli("--config", "broker", "topics", "list")

    assert "x:y" in done.stderr
