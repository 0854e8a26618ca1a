import asyncio
import os
import sys

TEXT = b"0123456789abcde\n"


async def main():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout)
    transport.write(TEXT * 524288)
    os._exit(0)


os.set_blocking(1, False)
asyncio.run(main())
