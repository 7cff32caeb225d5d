"""The demo's data: the airports of the world, as the package ``airportsdata`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pyproducer.cli.exits import CliError, Exit

__all__ = ["AVRO_SCHEMA", "COLUMNS", "KEY", "NUMBERS", "Dataset", "load"]

KEY: Final = "icao"
NUMBERS: Final = ("elevation", "lat", "lon")
COLUMNS: Final = (
    "icao", "iata", "name", "city", "subd", "country", "elevation", "lat", "lon", "tz", "lid"
)  # fmt: skip
AVRO_SCHEMA: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Airport",
    "namespace": "demo",
    "fields": [
        {"name": name, "type": "double" if name in NUMBERS else "string"} for name in COLUMNS
    ],
}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Records, and whose they are.

    Attributes:
        records: one mapping for each airport.
        source: a line with the origin and the licence.
    """

    records: list[dict[str, Any]]
    source: str


def load() -> Dataset:
    """The data.

    Raises:
        CliError: the package is not installed.
    """
    try:
        import airportsdata
    except ModuleNotFoundError as error:
        if error.name != "airportsdata":
            raise
        raise CliError(
            "the demo's data comes with the extra 'cli'; install it with: "
            "pip install 'pyproducer[cli]'",
            Exit.USAGE,
        ) from error
    records = [dict(one) for one in airportsdata.load("ICAO").values()]
    return Dataset(
        records,
        f"{len(records)} airports of the world: airportsdata {airportsdata.__version__} by Mike "
        "Borsetti and mwgg/Airports, MIT licence",
    )
