input()
best = 0
for number in map(int, input().split()):
    best = max(best, number)
print(best)
