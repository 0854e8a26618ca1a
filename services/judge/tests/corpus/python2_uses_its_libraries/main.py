import bz2
import ctypes
import hashlib
import sqlite3
import ssl
import sys
import zlib
from xml.dom import minidom

root = minidom.parseString("<x/>").documentElement
answer = sqlite3.connect(":memory:").execute("select 42").fetchone()[0]
length = len(zlib.decompress(zlib.compress(bz2.decompress(bz2.compress("hello")))))
assert ssl.OPENSSL_VERSION
print (sys.version[:3], hashlib.md5("1").hexdigest(), answer, str(ctypes.c_int(5).value), root.tagName, length)
