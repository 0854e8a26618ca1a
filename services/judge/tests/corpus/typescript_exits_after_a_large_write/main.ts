const text: string = "0123456789abcde\n".repeat(524288);
console.log(text.slice(0, -1));
process.exit(0);
