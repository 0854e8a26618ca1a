const text = "0123456789abcde\n".repeat(524288);
process.stdout.write(text);
process.abort();
