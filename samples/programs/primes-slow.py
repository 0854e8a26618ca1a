n = int(input())
count = 0
for candidate in range(2, n):
    for divisor in range(2, candidate):
        if divisor * divisor > candidate:
            count += 1
            break
        if candidate % divisor == 0:
            break
    else:
        count += 1
print(count)
