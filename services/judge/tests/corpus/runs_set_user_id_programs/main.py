import os
import subprocess

for path in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"):
    if os.path.exists(path):
        subprocess.run([path, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
status = open("/proc/self/status").read().splitlines()
print([line.split()[1] for line in status if line.startswith(("NoNewPrivs", "CapEff", "CapPrm"))])
