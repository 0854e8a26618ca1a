print("first", flush=True)
with open("/dev/stdin") as source, open("/dev/stdout", "w") as output:
    output.write(source.read())
with open("/dev/stdout", "a") as output:
    output.write("last\n")
with open("/dev/stderr", "w") as errors:
    errors.write("error\n")
