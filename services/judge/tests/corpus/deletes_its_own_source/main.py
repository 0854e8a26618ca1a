import os

for path in ("/box/program/main.py", __file__):
    for action in (os.unlink, lambda path: open(path, "w"), lambda path: os.truncate(path, 0), lambda path: os.chmod(path, 0)):
        try:
            action(path)
            print("done")
        except OSError:
            pass
print(len(open(__file__).read()) > 0)
