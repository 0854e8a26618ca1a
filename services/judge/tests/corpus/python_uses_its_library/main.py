import bisect, collections, ctypes, decimal, fractions, functools, heapq, itertools, json, math, sqlite3, statistics
import zlib

print(decimal.Decimal("0.1") + decimal.Decimal("0.2"), fractions.Fraction(1, 3) + fractions.Fraction(1, 6))
print(sqlite3.connect(":memory:").execute("select 40 + 2").fetchone()[0], math.comb(5, 2), len(zlib.compress(b"a" * 99)) < 20)
print(json.dumps({"a": 1}), statistics.median([3, 1, 2]), list(itertools.accumulate([1, 2, 3])), heapq.nsmallest(1, [2, 1]))
