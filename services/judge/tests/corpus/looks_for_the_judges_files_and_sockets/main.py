import os
import socket

file, port, abstract = input().split()
if os.path.exists(file):
    print("seen", file)
for folder in {os.path.dirname(file), "/box", "/tmp"}:
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if folder != "/box":
            print("seen", folder, name)
attempts = (
    (socket.AF_INET, ("127.0.0.1", int(port))), (socket.AF_INET6, ("::1", int(port))),
    (socket.AF_UNIX, "\0" + abstract), (socket.AF_UNIX, file + ".sock"),
)
for family, address in attempts:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.connect(address)
            print("reached", address)
    except OSError:
        pass
print("alone")
