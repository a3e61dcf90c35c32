"""What PySpark programs see: the same through the gateway as straight from Spark."""

import uuid

import pytest


def test_sql(way):
    assert way.run("out([list(r) for r in spark.sql('select 1 + 1 as a, upper(\"x\") as b').collect()])") == [[2, "X"]]


def test_dataframe(way):
    assert way.run("""
from pyspark.sql import functions as F
df = spark.range(1000).withColumn("k", F.col("id") % 3).groupBy("k").agg(F.sum("id").alias("s")).orderBy("k")
out([list(r) for r in df.collect()])
""") == [[0, 166833], [1, 166167], [2, 166500]]


def test_schema_explain_and_views(way):
    schema, plan, rows = way.run("""
df = spark.range(3).selectExpr("id", "cast(id as string) as s")
out(df.schema.simpleString())
out("Range" in df._explain_string(extended=True))
df.createOrReplaceTempView("v")
out(spark.table("v").count())
""")
    assert (schema, plan, rows) == ("struct<id:bigint,s:string>", True, 3)


def test_show(way):
    assert "|  2|" in way.run("import io, contextlib\nb = io.StringIO()\nwith contextlib.redirect_stdout(b): spark.range(3).show()\nout(b.getvalue())")


def test_to_pandas_of_100_megabytes(way):
    rows, size, total = way.run("""
df = spark.range(0, 110_000, numPartitions=8).selectExpr("id", "repeat(md5(cast(id as string)), 32) as s")
p = df.toPandas()
out([len(p), int(p.s.str.len().sum()), int(p.id.sum())])
""", timeout=200)
    assert rows == 110_000 and size == 110_000 * 1024 and total == 110_000 * 109_999 // 2


def test_create_dataframe_of_50_megabytes(way):
    assert way.run("""
import pandas as pd
p = pd.DataFrame({"id": range(52_000), "s": ["%032d" % i * 32 for i in range(52_000)]})
df = spark.createDataFrame(p)
out(list(df.selectExpr("count(*)", "sum(id)", "sum(length(s))").collect()[0]))
""", timeout=200) == [52_000, 52_000 * 51_999 // 2, 52_000 * 1024]


def test_python_udf(way):
    assert way.run("""
from pyspark.sql.functions import udf
@udf("long")
def square(x):
    return x * x
out([r[0] for r in spark.range(5).select(square("id")).collect()])
""") == [0, 1, 4, 9, 16]


def test_pandas_udf(way):
    assert way.run("""
from pyspark.sql.functions import pandas_udf
import pandas as pd
@pandas_udf("double")
def half(s: pd.Series) -> pd.Series:
    return s / 2
out([r[0] for r in spark.range(4).select(half("id")).collect()])
""") == [0.0, 0.5, 1.0, 1.5]


def test_add_artifact_of_50_megabytes(way):
    assert way.run("""
from pyspark.sql.functions import udf
with open("big.txt", "wb") as f:
    for i in range(50):
        f.write(os.urandom(1 << 20))
spark.addArtifacts("big.txt", file=True)
@udf("long")
def size(_):
    import os
    from pyspark import SparkFiles
    return os.path.getsize(SparkFiles.get("big.txt"))
out(spark.range(1).select(size("id")).collect()[0][0])
""", timeout=200) == 50 << 20


def test_python_module_as_artifact(way):
    assert way.run("""
from pyspark.sql.functions import udf
with open("helper_module.py", "w") as f:
    f.write("def answer(): return 42")
spark.addArtifacts("helper_module.py", pyfile=True)
@udf("long")
def ask(_):
    import helper_module
    return helper_module.answer()
out(spark.range(1).select(ask("id")).collect()[0][0])
""") == 42


def test_analysis_exception_keeps_class_and_message(way):
    kind, condition, state, text = way.run("""
from pyspark.errors import AnalysisException
try:
    spark.sql("select nope from range(1)").collect()
except AnalysisException as e:
    out([type(e).__name__, e.getCondition(), e.getSqlState(), str(e).splitlines()[0]])
""")
    assert kind == "AnalysisException" and condition == "UNRESOLVED_COLUMN.WITH_SUGGESTION" and state == "42703"
    assert text.startswith("[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `nope`")


def test_long_error_message_in_another_script(way):
    """Percent-encoded in grpc-message and base64 in the details: a block of headers beyond 8 KiB."""
    text = way.run("""
try:
    spark.sql("select `" + "\\u6f22" * 200 + "` from range(1)").collect()
except Exception as e:
    out(str(e))
""")
    assert text.count("\u6f22") >= 200


def test_python_error_in_a_udf(way):
    kind, has_reason = way.run("""
from pyspark.sql.functions import udf
@udf("long")
def fail(x):
    raise ValueError("the reason")
try:
    spark.range(1).select(fail("id")).collect()
except Exception as e:
    out([type(e).__name__, "ValueError: the reason" in str(e)])
""")
    assert (kind, has_reason) == ("PythonException", True)


def test_interrupt(way):
    ids, failed = way.run("""
import threading
from pyspark.sql.functions import udf
@udf("long")
def slow(x):
    import time
    time.sleep(60)
    return x
got = []
def stop():
    while not got:
        time.sleep(1)
        got.extend(spark.interruptAll())
t = threading.Thread(target=stop); t.start()
try:
    spark.range(1).select(slow("id")).collect()
    out([len(got), "ran to its end"])
except Exception as e:
    t.join()
    out([len(got), "CANCEL" in str(e).upper()])
""")
    assert ids >= 1 and failed is True


def test_interrupt_before_anything(way):
    """The first answer a session gets settles which server session the client believes in."""
    assert way.run("ids = spark.interruptAll()\nout([ids, spark.range(2).count()])") == [[], 2]


def test_interrupt_by_tag(way):
    assert "CANCEL" in way.run("""
import threading
spark.range(1).count()
def run():
    spark.addTag("mine")
    try:
        spark.sql("select count(*) from range(1000000000000L) where hash(id) = 1").collect()
    except Exception as e:
        out(str(e))
t = threading.Thread(target=run); t.start()
while t.is_alive() and not spark.interruptTag("mine"):
    time.sleep(0.5)
t.join()
""", timeout=90).upper()


def test_progress(way):
    stages, done = way.run("""
seen = []
spark.registerProgressHandler(lambda stages, inflight_tasks, operation_id, done: seen.append((len(stages), done)))
from pyspark.sql.functions import udf
@udf("long")
def slow(x):
    import time
    time.sleep(1.5)
    return x
spark.range(0, 8, numPartitions=4).select(slow("id")).collect()
out([max(s for s, _ in seen), seen[-1][1]])
""")
    assert stages >= 1 and done is True


def test_stop_ends_the_session(way):
    first, second = way.run("""
out(spark.session_id)
spark.range(1).count()
spark.stop()
spark = connect()
spark.range(1).count()
out(spark.session_id)
""")
    assert first != second


def test_new_session_is_apart(way):
    assert way.run("""
spark.range(1).createOrReplaceTempView("mine")
other = spark.newSession()
try:
    other.table("mine").count()
    out("seen")
except Exception as e:
    out(e.getCondition())
other.stop()
""") == "TABLE_OR_VIEW_NOT_FOUND"


def test_clone_session_has_the_views(way):
    assert way.run("""
spark.range(7).createOrReplaceTempView("mine")
other = spark.cloneSession()
out(other.table("mine").count())
spark.stop()
out(other.table("mine").count())
other.stop()
""") == [7, 7]


def test_runtime_configuration(way):
    assert way.run("""
spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
out(spark.conf.get("spark.sql.session.timeZone"))
out(spark.sql("select current_timezone()").collect()[0][0])
""") == ["Asia/Tokyo", "Asia/Tokyo"]


def test_cache_and_catalog(way):
    assert way.run("""
df = spark.range(100).cache()
out(df.count())
out(df.is_cached)
df.unpersist()
df.createOrReplaceTempView("a_view")
out([t.name for t in spark.catalog.listTables() if t.name == "a_view"])
""") == [100, True, ["a_view"]]


def test_checkpoint_and_observe(way):
    assert way.run("""
from pyspark.sql import Observation, functions as F
o = Observation("seen")
spark.range(10).localCheckpoint().observe(o, F.count(F.lit(1)).alias("n")).collect()
out(o.get["n"])
""") == 10


def test_to_local_iterator(way):
    assert way.run("""
total = 0
for row in spark.range(0, 100_000, numPartitions=10).toLocalIterator():
    total += row.id
out(total)
""") == 100_000 * 99_999 // 2


def test_many_threads_of_one_session(way):
    assert way.run("""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(12) as pool:
    out(sorted(pool.map(lambda n: spark.range(n).count(), range(24))))
""") == list(range(24))


def test_streaming_query(way):
    rows, active = way.run("""
q = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", 10).load() \\
    .writeStream.format("memory").queryName("seen").start()
while not q.recentProgress:
    time.sleep(0.3)
q.stop()
out([spark.table("seen").count() % 10, q.isActive])
""")
    assert (rows, active) == (0, False)


def test_write_and_read_back(way, tmp_path):
    path = tmp_path / "data"
    assert way.run(f"""
spark.range(1000).write.mode("overwrite").parquet("{path}")
out(spark.read.parquet("{path}").count())
""") == 1000


def test_custom_session_id(way):
    session = str(uuid.uuid4())  # a driver remembers the ids of sessions that have ended
    way.params["session_id"] = session
    assert way.run("spark.range(1).count()\nout(spark.session_id)\nspark.stop()") == session


def test_older_client(way, python35):
    rows, version, kind = way.run("""
out([r[0] for r in spark.sql("select id * 2 from range(3)").collect()])
import pyspark
out(pyspark.__version__)
try:
    spark.sql("select nope").collect()
except Exception as e:
    out(type(e).__name__)
""", python=python35)
    assert rows == [0, 2, 4] and version.startswith("3.5") and kind == "AnalysisException"


@pytest.mark.timeout(260)
def test_query_longer_than_two_minutes(gateway):
    """Spark ends a stream after two minutes; the client comes back for the rest."""
    assert gateway.way().run("""
from pyspark.sql.functions import udf
@udf("long")
def slow(x):
    import time
    time.sleep(65)
    return x
start = time.time()
rows = [r[0] for r in spark.range(0, 2, numPartitions=1).select(slow("id")).collect()]
out([rows, time.time() - start > 125])
""", timeout=240) == [[0, 1], True]
