process.stderr.write("x".repeat(8 << 20));
process.exit(process.stderr.writableLength);
