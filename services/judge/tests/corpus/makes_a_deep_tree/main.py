import os

for depth in range(500):
    os.mkdir("d")
    os.chdir("d")
print("deep")
