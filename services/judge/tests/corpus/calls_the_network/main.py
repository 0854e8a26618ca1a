import socket

attempts = (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 22)), (socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 53)), (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 22)),
    (socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)), (socket.AF_PACKET, socket.SOCK_RAW, ("lo", 0)), (40, socket.SOCK_STREAM, (2, 1)),
)
for family, kind, address in attempts:
    try:
        client = socket.socket(family, kind)
        client.settimeout(1)
        client.connect(address)
        print("reached", address)
    except OSError:
        pass
print("alone")
