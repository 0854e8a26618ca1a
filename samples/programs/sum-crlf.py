a, b = map(int, input().split())
text = """
"""
assert len(text) == 1
print(a + b)
