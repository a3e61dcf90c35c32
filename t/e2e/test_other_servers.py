"""Drivers other than plain Spark: with a token of their own, and Sail."""

from harness.client import Way


def test_spark_with_a_token(make_gateway, own_drivers):
    driver, = own_drivers("guarded", conf={"spark.connect.authenticate.token": "token-of-the-driver"})
    gateway = make_gateway([driver], start=False)
    secret = gateway.folder / "driver.token"
    secret.write_text("token-of-the-driver\n")
    secret.chmod(0o600)
    gateway.conf["clusters"][0]["token_file"] = str(secret)
    gateway.write()
    gateway.start()
    assert gateway.way().run("out(spark.range(3).count())") == 3


def test_sail_direct(sail, python35):
    assert Way("direct", sail.port, {}).run("out(spark.sql('select 1 + 1').collect()[0][0])", python=python35) == 2


def test_sail(make_gateway, sail, python35):
    gateway = make_gateway([sail])
    assert gateway.way().run("""
out(spark.sql("select 1 + 1").collect()[0][0])
out(spark.range(100000).selectExpr("sum(id)").collect()[0][0])
""", python=python35) == [2, 4999950000]
