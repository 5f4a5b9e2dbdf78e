"""Answers statements with ClickHouse in process: a JSON string per line in, `{"rows": n}` or `{"error": …}` per line out."""

import json
import sys

from chdb.session import Session

session = Session()
for line in sys.stdin:
    try:
        answer = {"rows": session.query(json.loads(line), "TSV").bytes().count(b"\n")}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
