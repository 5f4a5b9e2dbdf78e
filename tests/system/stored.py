"""What an event data store holds, read from its table by the `deltalake` package: no code of ours between the test and the
bytes."""

import json

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError


def table_of(server, arn):
    """Where the store's table is."""
    return server.data / "tables/stores" / arn.rpartition("/")[2]


def rows(server, arn, *columns):
    """The table's rows as dictionaries, in the journal's order."""
    directory = table_of(server, arn)
    for _ in range(10):
        if not any((directory / "_delta_log").glob("*.json")):
            return []  # the table is still being made
        try:
            table = DeltaTable(str(directory)).to_pyarrow_table(columns=["position", *columns])
        except (OSError, DeltaError):
            continue  # files were merged and vacuumed while it read: tests let that happen within a second
        return sorted(table.to_pylist(), key=lambda row: row["position"])
    raise AssertionError(f"{directory} cannot be read")


def raw(server, arn):
    """The records, byte for byte, in the journal's order."""
    return [row["raw"] for row in rows(server, arn, "raw")]


def ids(server, arn):
    """Their event ids, in the journal's order."""
    return [row["eventid"] for row in rows(server, arn, "eventid")]


def events(server, arn):
    """The records, parsed."""
    return [json.loads(record) for record in raw(server, arn)]
