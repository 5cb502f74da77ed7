"""Runs SQL for the parent: a line of JSON in, a line of JSON out. The clock runs around each statement
and the fetching of its rows alone."""
import json, sys, time
import duckdb

db = duckdb.connect(sys.argv[1])
db.execute("SET threads TO 2")
# It would be drawn on the output in which the parent reads.
db.execute("SET enable_progress_bar = false")
print(json.dumps({"version": duckdb.__version__}), flush=True)
for line in sys.stdin:
    try:
        sql = json.loads(line)
        started = time.perf_counter()
        rows = db.execute(sql).fetchall()
        took = time.perf_counter() - started
        print(json.dumps({"seconds": took, "rows": rows}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
db.close()
