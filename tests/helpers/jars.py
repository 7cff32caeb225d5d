"""Java programs from Maven: one folder of jars per artifact and version, fetched once."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.helpers.processes import PeerFailed, require_program

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>peers</groupId><artifactId>peers</artifactId><version>1</version>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""

_DEPENDENCY = """    <dependency>
      <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
      <exclusions>{exclusions}</exclusions>
    </dependency>"""

_EXCLUSION = "<exclusion><groupId>{}</groupId><artifactId>{}</artifactId></exclusion>"


class Artifact(NamedTuple):
    """One Maven coordinate; ``without`` lists dependencies (group, artifact) to leave out."""

    group: str
    artifact: str
    version: str
    without: tuple[tuple[str, str], ...] = ()

    def as_xml(self) -> str:
        exclusions = "".join(_EXCLUSION.format(*pair) for pair in self.without)
        return _DEPENDENCY.format(
            group=self.group, artifact=self.artifact, version=self.version, exclusions=exclusions
        )


def cache_folder() -> Path:
    """Where fetched programs are kept: ``$PYPRODUCER_CACHE``, else ``.cache`` in the checkout."""
    chosen = os.environ.get("PYPRODUCER_CACHE")
    return Path(chosen) if chosen else Path(__file__).parents[2] / ".cache"


def fetch_jars(*artifacts: Artifact, folder: Path) -> Path:
    """Return ``folder``, filled with the artifacts and all they need at run time.

    A folder that exists is complete, because it appears by a rename after the last jar; so a
    fetch that was interrupted leaves nothing behind that a later run would trust.
    """
    if folder.is_dir():
        return folder
    maven = require_program("mvn", "maven")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
        pom = Path(scratch, "pom.xml")
        pom.write_text(_POM.format(dependencies="\n".join(one.as_xml() for one in artifacts)))
        jars = Path(scratch, "jars")
        command = [
            maven, "--quiet", "--batch-mode", "--file", str(pom),
            "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0 or not any(jars.glob("*.jar")):
            raise PeerFailed(
                f"Maven could not fetch {artifacts}:\n{(done.stdout + done.stderr)[-4000:]}"
            )
        try:
            jars.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another run was faster: its jars are as good
                raise
    return folder
